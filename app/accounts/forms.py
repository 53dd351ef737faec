"""The forms of signing in and of one's own account, and the field of every form that asks for the password again."""

from wtforms import BooleanField, EmailField, HiddenField, PasswordField

from app.web.forms import KinfoldForm, LanguageField, at_most, needed


class SignInForm(KinfoldForm):
    email = EmailField(validators=[needed("email-missing"), at_most(254, "email-wrong")])
    password = PasswordField(validators=[needed("password-missing")])
    stay = BooleanField(default=True)
    next = HiddenField()


class ConfirmedForm(KinfoldForm):
    """A form for what one must be sure about: it asks for the password again, unless it was typed lately (`views.confirmed`)."""

    password = PasswordField()


class ChangePasswordForm(KinfoldForm):
    current = PasswordField(validators=[needed("password-missing")])
    password = PasswordField(validators=[needed("password-missing")])


class ToldForm(KinfoldForm):
    """Whether a member is told by mail what happens, and the language that they read."""

    wants_mail = BooleanField()
    language = LanguageField()


class ResetForm(KinfoldForm):
    password = PasswordField(validators=[needed("password-missing")])
