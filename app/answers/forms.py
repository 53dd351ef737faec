"""The forms of what guests say. `guest` says whose tap it was, on a tablet that several people share."""

from wtforms import BooleanField, StringField

from app.answers.rules import LONGEST_NOTE
from app.web.forms import KinfoldForm, LinesField, at_most, needed

NO = (False, "false", "", "0", "n", "no", "off")


class HeartForm(KinfoldForm):
    guest = StringField()
    given = BooleanField(false_values=NO)


class NoteForm(KinfoldForm):
    guest = StringField()
    text = LinesField(validators=[needed("note-missing"), at_most(LONGEST_NOTE, "note-too-long")])


class HideForm(KinfoldForm):
    hidden = BooleanField(false_values=NO)
