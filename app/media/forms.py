"""The forms of photos."""

from app.web.forms import KinfoldForm, LinesField, at_most


class CaptionForm(KinfoldForm):
    caption = LinesField(validators=[at_most(500, "caption-too-long")])
