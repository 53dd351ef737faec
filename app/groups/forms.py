"""The forms of founding a group, joining it, and looking after who is in it."""

from typing import Any

from wtforms import EmailField, PasswordField, RadioField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import ValidationError

from app.accounts.forms import ConfirmedForm
from app.groups.models import GroupKind
from app.security.viewer import Role
from app.web.forms import KinfoldForm, LineField, at_most, email_like, needed


def _a_role(_form: Any, field: Any) -> None:
    if field.data not in set(Role):
        raise ValidationError("role-wrong")


class JoinForm(KinfoldForm):
    name = LineField(validators=[needed("name-missing"), at_most(100, "name-too-long")])
    email = EmailField(validators=[needed("email-missing"), at_most(254, "email-wrong"), email_like()])
    password = PasswordField(validators=[needed("password-missing")])


class GroupForm(KinfoldForm):
    group_name = LineField(validators=[needed("group-name-missing"), at_most(100, "group-name-too-long")])


class SetUpForm(JoinForm, GroupForm):
    group_kind = RadioField(choices=[SelectChoice(kind.value) for kind in GroupKind], default=GroupKind.FAMILY.value)


class RoleForm(ConfirmedForm):
    role = StringField(validators=[_a_role])


class InviteForm(RoleForm):
    """`name` says whom it is for."""

    name = LineField(validators=[at_most(100, "name-too-long")])
