"""The set-up form."""

from wtforms import EmailField, PasswordField, RadioField
from wtforms.fields import SelectChoice

from app.groups.models import GroupKind
from app.web.forms import KinfoldForm, LineField, at_most, email_like, needed


class SetUpForm(KinfoldForm):
    name = LineField(validators=[needed("name-missing"), at_most(100, "name-too-long")])
    email = EmailField(validators=[needed("email-missing"), at_most(254, "email-wrong"), email_like()])
    password = PasswordField(validators=[needed("password-missing")])
    group_name = LineField(validators=[needed("group-name-missing"), at_most(100, "group-name-too-long")])
    group_kind = RadioField(choices=[SelectChoice(kind.value) for kind in GroupKind], default=GroupKind.FAMILY.value)
