"""The form of the last step."""

from app.accounts.forms import ConfirmedForm
from app.web.forms import LineField


class DeleteGroupForm(ConfirmedForm):
    confirm = LineField()
