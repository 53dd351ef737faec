"""What is to be told to whom, and the browsers that want to be told by push."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, word
from app.ids import new_id


class NotificationKind(StrEnum):
    """What can be worth telling."""

    NEW_PHOTOS = "new-photos"
    ENDS_SOON = "ends-soon"
    FIRST_OPENED = "first-opened"
    NOTE_WRITTEN = "note-written"
    GUEST_ADDED_PHOTOS = "guest-added-photos"
    DEVICE_LET_IN = "device-let-in"
    NEW_PHONE_ASKS = "new-phone-asks"
    MORE_TIME_ASKED = "more-time-asked"
    PHOTO_REPORTED = "photo-reported"
    PHOTO_HELD = "photo-held"
    MAIL_REFUSED = "mail-refused"


class Notification(Base):
    """One thing to tell one person, a member or a guest, or with neither whoever runs the server (`KINFOLD_CONTACT`). It names rows and
    holds no words: they are found when it is sent. `activity_id` is what it tells of; the same is never told to the same person twice.

    Whoever takes it to send it counts the attempt and moves `due_at` first, so that a worker that dies tells nobody the same for ever."""

    __tablename__ = "notification"
    __table_args__ = (
        sa.UniqueConstraint("activity_id", "member_id"),
        sa.Index("ix_notification_sent_at_due_at", "sent_at", "due_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[NotificationKind] = mapped_column(word(NotificationKind))
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("group.id", ondelete="CASCADE"), index=True)
    member_id: Mapped[str | None] = mapped_column(sa.ForeignKey("member.id", ondelete="CASCADE"), index=True)
    guest_id: Mapped[str | None] = mapped_column(sa.ForeignKey("guest.id", ondelete="CASCADE"), index=True)
    album_id: Mapped[str | None] = mapped_column(sa.ForeignKey("album.id", ondelete="CASCADE"), index=True)
    activity_id: Mapped[str | None] = mapped_column(sa.ForeignKey("activity.id", ondelete="CASCADE"), index=True)
    made_at: Mapped[datetime]
    due_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    attempts: Mapped[int]
    given_up_at: Mapped[datetime | None]


class PushSubscription(Base):
    """A guest's browser that wants to be told by push (RFC 8030): where to, and the keys that only it can read with (RFC 8291). It
    goes with its device."""

    __tablename__ = "push_subscription"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    device_id: Mapped[str] = mapped_column(sa.ForeignKey("device.id", ondelete="CASCADE"), unique=True)
    endpoint: Mapped[str]
    public_key: Mapped[bytes]
    auth: Mapped[bytes]
    created_at: Mapped[datetime]
    failures: Mapped[int]
