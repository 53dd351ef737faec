"""The forms of albums."""

from wtforms import BooleanField, StringField

from app.web.forms import KinfoldForm, LineField, LinesField, at_most, needed


class AlbumForm(KinfoldForm):
    title = LineField(validators=[needed("title-missing"), at_most(200, "title-too-long")])
    description = LinesField(validators=[at_most(2000, "description-too-long")])


class ChoicesForm(KinfoldForm):
    """What the owners of an album choose; a form that says nothing of `choices` leaves them as they are."""

    choices = StringField()
    hides_days = BooleanField()
    shows_answers = BooleanField()
    takes_voice = BooleanField()
    asks_first = BooleanField()


class DeleteAlbumForm(KinfoldForm):
    confirm = LineField(validators=[needed("title-differs")])


class CoverForm(KinfoldForm):
    photo = StringField(validators=[needed("nothing-chosen")])
