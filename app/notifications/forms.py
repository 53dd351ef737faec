"""The form by which a browser says where it wants to be told."""

from wtforms import HiddenField

from app.web.forms import KinfoldForm, at_most, needed


class PushForm(KinfoldForm):
    """What browsers call the endpoint, and their two keys in base64."""

    endpoint = HiddenField(validators=[needed("push-wrong"), at_most(1_000, "push-wrong")])
    p256dh = HiddenField(validators=[needed("push-wrong"), at_most(100, "push-wrong")])
    auth = HiddenField(validators=[needed("push-wrong"), at_most(50, "push-wrong")])
