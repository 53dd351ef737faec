"""The forms of albums."""

from wtforms import BooleanField, StringField

from app.web.forms import KinfoldForm, LineField, LinesField, at_most, needed


class AlbumForm(KinfoldForm):
    title = LineField(validators=[needed("title-missing"), at_most(200, "title-too-long")])
    description = LinesField(validators=[at_most(2000, "description-too-long")])


class ChoicesForm(KinfoldForm):
    """What the people who see an album may do, and see of one another."""

    shows_answers = BooleanField()
    takes_voice = BooleanField()
    asks_first = BooleanField()


class DeleteAlbumForm(KinfoldForm):
    confirm = LineField(validators=[needed("title-differs")])


class CoverForm(KinfoldForm):
    photo = StringField(validators=[needed("nothing-chosen")])
