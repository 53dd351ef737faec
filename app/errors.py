"""What can go wrong, in the product's words.

Errors carry facts; the sentences live in the templates, where they are translated.
`app/web/errors.py` is the one place that turns them into HTTP.
"""

from datetime import datetime


class KinfoldError(Exception):
    """Everything that Kinfold itself raises on purpose."""


class NotVisible(KinfoldError):
    """It does not exist, or not for this viewer. Nobody learns which (404)."""


class Ended(KinfoldError):
    """What the viewer holds was good once and its date has passed (410)."""


class LinkEnded(Ended):
    """A real link past its date, opened in a browser that we do not know: no names are told."""


class AlbumClosed(Ended):
    """A known device whose time ran out: `sender` may be named, so that Rose knows whom to ask, and `more_time` says whether she can ask
    from here for this `album`, or has."""

    def __init__(self, sender: str, *, album: str, more_time: str) -> None:
        super().__init__()
        self.sender, self.album, self.more_time = sender, album, more_time


class Refused(KinfoldError):
    """What was asked can't be done, and the person can mend it (400).

    `reason` is a stable word such as `title-missing`, for which `templates/components/reasons.html` has a sentence; `facts`
    are told to scripts.
    """

    def __init__(self, reason: str, **facts: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.facts = facts


class TooLarge(Refused):
    """A file over the limit, or a group without room for it (413)."""


class TooOften(KinfoldError):
    """Too many tries (429). `again_at` is when the next one will be listened to."""

    def __init__(self, again_at: datetime) -> None:
        super().__init__()
        self.again_at = again_at


class PhotosHidden(KinfoldError):
    """Strangers can read what is stored, so nobody is shown anything until that is mended (503)."""


class WrongSetting(KinfoldError):
    """The server can't start as it is set; the message says what to do, in plain words."""
