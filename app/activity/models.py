"""What happened, one row each. Kept 90 days; rows that only count tries are kept a day."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, word
from app.ids import new_id


class ActivityKind(StrEnum):
    """What can have happened."""

    GROUP_FOUNDED = "group-founded"
    SIGN_IN_FAILED = "sign-in-failed"
    PASSWORD_CHANGED = "password-changed"
    ALBUM_MADE = "album-made"
    ALBUM_CHANGED = "album-changed"
    ALBUM_DELETED = "album-deleted"
    PHOTOS_ADDED = "photos-added"
    PHOTOS_DELETED = "photos-deleted"
    SHARED = "shared"
    SHARING_EXTENDED = "sharing-extended"
    SHARING_ENDED = "sharing-ended"
    LINK_MADE = "link-made"
    DEVICE_LET_IN = "device-let-in"
    GUEST_DELETED = "guest-deleted"
    ALL_SHARING_STOPPED = "all-sharing-stopped"
    MEMBER_INVITED = "member-invited"
    MEMBER_JOINED = "member-joined"
    OWNER_MADE = "owner-made"
    EDITOR_MADE = "editor-made"
    MEMBER_REMOVED = "member-removed"
    MEMBER_LEFT = "member-left"
    INVITATION_ENDED = "invitation-ended"
    GROUP_CHANGED = "group-changed"
    DATA_EXPORTED = "data-exported"
    FIRST_OPENED = "first-opened"
    NOTE_WRITTEN = "note-written"
    GUEST_ADDED_PHOTOS = "guest-added-photos"
    MORE_TIME_ASKED = "more-time-asked"
    MORE_TIME_REFUSED = "more-time-refused"
    NEW_PHONE_ASKS = "new-phone-asks"
    NEW_PHONE_REFUSED = "new-phone-refused"
    PHOTO_REPORTED = "photo-reported"
    PHOTO_HELD = "photo-held"
    MAIL_ENDED = "mail-ended"
    MAIL_REFUSED = "mail-refused"


class Activity(Base):
    """`member_id` did it, `other_id` is the member whom it was done to. `bucket` counts tries (see `service.nth_last_failure`); it is a
    keyed hash, never an address."""

    __tablename__ = "activity"
    __table_args__ = (
        sa.Index("ix_activity_bucket_at", "bucket", "at"),
        sa.Index("ix_activity_group_id_at_id", "group_id", "at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime]
    kind: Mapped[ActivityKind] = mapped_column(word(ActivityKind))
    group_id: Mapped[str | None] = mapped_column(sa.ForeignKey("group.id", ondelete="CASCADE"))
    member_id: Mapped[str | None] = mapped_column(sa.ForeignKey("member.id", ondelete="SET NULL"), index=True)
    other_id: Mapped[str | None] = mapped_column(sa.ForeignKey("member.id", ondelete="SET NULL"), index=True)
    guest_id: Mapped[str | None] = mapped_column(sa.ForeignKey("guest.id", ondelete="SET NULL"), index=True)
    album_id: Mapped[str | None] = mapped_column(sa.ForeignKey("album.id", ondelete="SET NULL"), index=True)
    photo_id: Mapped[str | None] = mapped_column(sa.ForeignKey("photo.id", ondelete="SET NULL"), index=True)
    bucket: Mapped[str | None]


class DeletionKind(StrEnum):
    """What must not come back: a row that was deleted for good, or what was taken from one that stays: a member's old password, their
    place as an owner, the right to save what a grant shows or to add to it, a note, a voice or a photo from everybody's eyes and ears, mail
    from a guest who wants none or can't get any."""

    ALBUM = "album"
    PHOTO = "photo"
    GUEST = "guest"
    MEMBER = "member"
    GROUP = "group"
    PASSWORD = "password"
    OWNER = "owner"
    SAVING = "saving"
    ADDING = "adding"
    NOTE = "note"
    VOICE = "voice"
    NOTE_HIDDEN = "note-hidden"
    VOICE_HIDDEN = "voice-hidden"
    PHOTO_HELD = "photo-held"
    MAIL = "mail"


class Deletion(Base):
    """A line of the deletion journal, so that restoring an older backup does not bring it back: the identifier of the row that was
    deleted, or from which something was taken (the member's, for a password and an owner; the grant's, for saving and adding; that of
    the note or the voice, for hiding it, of the photo, for holding it, and of the guest, for mail)."""

    __tablename__ = "deletion"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[DeletionKind] = mapped_column(word(DeletionKind))
    subject: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)
