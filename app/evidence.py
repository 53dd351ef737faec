"""Photos that are held as evidence: as long as they are, nothing goes that they hang on. The rooms above ask here before they delete."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.errors import Refused

HELD = "held"

_PHOTO = sa.table("photo", *(sa.column(name) for name in ("state", "album_id", "group_id", "created_by", "guest_id")))


def is_evidence(**of: object) -> sa.Exists:
    """Whether a held photo is of this `album_id` or `group_id`, or was added by this `created_by` (a member) or `guest_id`."""
    return sa.exists().where(_PHOTO.c.state == HELD, *(_PHOTO.c[name] == value for name, value in of.items()))


def check_no_evidence(session: Session, **of: str) -> None:
    """Raises `Refused` for what a held photo hangs on. The sentence does not say why: whoever deletes may be who it is evidence against."""
    if session.scalar(sa.select(is_evidence(**of))):
        raise Refused("cant-be-deleted")
