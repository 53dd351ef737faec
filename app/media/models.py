"""Photos, the uploads they come from, and their renditions."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base, word
from app.ids import new_id


class PhotoKind(StrEnum):
    """What a photo is; a video is a photo of another kind."""

    PHOTO = "photo"
    VIDEO = "video"


class PhotoState(StrEnum):
    """Where a photo is on its way: we have it; it is prepared and waits for a member's yes (a guest added it); it can be seen; it can't be
    made safe to show; or it is held: hidden from everybody and kept as evidence. Only what is `ready` is ever shown to a guest."""

    RECEIVED = "received"
    AWAITING = "awaiting"
    HELD = "held"
    READY = "ready"
    REFUSED = "refused"


PREPARED = (PhotoState.READY, PhotoState.AWAITING, PhotoState.HELD)
"""The states of a photo whose renditions are kept."""

FOR_MEMBERS = (PhotoState.READY, PhotoState.AWAITING)
"""The states in which members see a photo."""


class RenditionName(StrEnum):
    """The files made from a photo. `play` is what a browser plays of a video; its `grid` and `screen` are pictures of it."""

    GRID = "grid"
    SCREEN = "screen"
    PLAY = "play"
    FULL = "full"


RENDITIONS = {
    PhotoKind.PHOTO: (RenditionName.GRID, RenditionName.SCREEN, RenditionName.FULL),
    PhotoKind.VIDEO: tuple(RenditionName),
}
"""What a ready photo of each kind has."""


_IS_VIDEO = sa.text("kind = 'video'")
_NOT_SUMMED = sa.text("name = 'full' AND crc32 IS NULL")


class Photo(Base):
    """A photo of an album.

    `taken_at` is the local time at which it was taken, without a zone, or the time of its upload; `number` counts the uploads of its
    album from 1 and is also the number in a saved file's name. Both are the order of an album. `fingerprint` is a keyed hash of the
    uploaded bytes. `stored` is how many bytes it takes just now, for the group's quota. `removed` are the kinds of things that cleaning
    took out, never their values. `duration` is a video's, in milliseconds. `pair` is a keyed hash of what ties the two
    parts of a Live Photo together. `guest_id`: the guest who added it. `shown_at`: since when it can be seen, which says to whom it is new.
    """

    __tablename__ = "photo"
    __table_args__ = (
        sa.UniqueConstraint("album_id", "fingerprint"),
        sa.UniqueConstraint("album_id", "number"),
        sa.Index("ix_photo_album_id_state_taken_at_number", "album_id", "state", "taken_at", "number"),
        sa.Index("ix_photo_album_id_state_changed_at", "album_id", "state", "changed_at"),
        sa.Index("ix_photo_state_changed_at", "state", "changed_at"),
        sa.Index("ix_photo_group_id_state_stored", "group_id", "state", "stored"),
        sa.Index("ix_photo_album_id_pair", "album_id", "pair"),
        sa.Index("ix_photo_videos", "album_id", "state", sqlite_where=_IS_VIDEO, postgresql_where=_IS_VIDEO),
        sa.Index("ix_photo_album_id_state_shown_at", "album_id", "state", "shown_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    album_id: Mapped[str] = mapped_column(sa.ForeignKey("album.id", ondelete="CASCADE"))
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("group.id", ondelete="CASCADE"))
    kind: Mapped[PhotoKind] = mapped_column(word(PhotoKind))
    state: Mapped[PhotoState] = mapped_column(word(PhotoState))
    reason: Mapped[str | None]
    number: Mapped[int]
    taken_at: Mapped[datetime] = mapped_column(sa.DateTime)
    width: Mapped[int | None]
    height: Mapped[int | None]
    duration: Mapped[int | None]
    fingerprint: Mapped[bytes]
    pair: Mapped[bytes | None]
    sealed_thumbhash: Mapped[bytes | None]
    sealed_caption: Mapped[bytes | None]
    removed: Mapped[list[str]] = mapped_column(sa.JSON)
    stored: Mapped[int] = mapped_column(sa.BigInteger)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(sa.ForeignKey("member.id", ondelete="SET NULL"), index=True)
    guest_id: Mapped[str | None] = mapped_column(sa.ForeignKey("guest.id", ondelete="SET NULL"), index=True)
    shown_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    renditions: Mapped[list["Rendition"]] = relationship(passive_deletes=True, lazy="raise")


class Rendition(Base):
    """One stored file made from a photo: sealed under its own key, which is kept here, wrapped by the album's.

    `size` is in plain bytes, and `crc32` is theirs, so that a zip of them has one shape for good and can be taken up in its middle. Those
    from before there were such zips are summed by a sweep."""

    __tablename__ = "rendition"
    __table_args__ = (sa.Index("ix_rendition_not_summed", "photo_id", sqlite_where=_NOT_SUMMED, postgresql_where=_NOT_SUMMED),)

    photo_id: Mapped[str] = mapped_column(sa.ForeignKey("photo.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[RenditionName] = mapped_column(word(RenditionName), primary_key=True)
    object_name: Mapped[str]
    wrapped_key: Mapped[bytes]
    size: Mapped[int] = mapped_column(sa.BigInteger)
    crc32: Mapped[int | None] = mapped_column(sa.BigInteger)
    mime: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]


class Upload(Base):
    """The file as it arrived, sealed; it lives until its photo is ready. `wrapped_key` is gone as soon as the file is not needed.

    The name it had on the phone (sealed) stays to tell the member which file was refused, until `keep_until` or "Got it". `attempts`
    counts how often a worker has taken it, `generation` how often it was handed to the workers. `progress` says how much of a video
    is done, in percent.
    """

    __tablename__ = "upload"

    photo_id: Mapped[str] = mapped_column(sa.ForeignKey("photo.id", ondelete="CASCADE"), primary_key=True)
    object_name: Mapped[str | None]
    wrapped_key: Mapped[bytes | None]
    size: Mapped[int] = mapped_column(sa.BigInteger)
    sealed_name: Mapped[bytes]
    attempts: Mapped[int]
    generation: Mapped[int]
    progress: Mapped[int | None]
    received_at: Mapped[datetime]
    keep_until: Mapped[datetime | None]


class Incoming(Base):
    """A file that is still arriving, in parts (tus). Whoever began it may go on until `expires_at`; then its parts are destroyed.

    `size` is how many bytes it will have, which the group's quota keeps free for it; `received` how many of them are safe in its parts.
    With the last bytes it becomes a photo with its upload, and its name is forgotten here; the row stays a while to say so to whoever did
    not hear the answer. `duplicate` says that the album had the photo already. Whoever puts its parts together says until when it is
    sure to be alive (`joining_until`): so long nobody else begins that.
    """

    __tablename__ = "incoming"
    __table_args__ = (
        sa.Index("ix_incoming_group_id_photo_id_size", "group_id", "photo_id", "size"),
        sa.Index("ix_incoming_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    album_id: Mapped[str] = mapped_column(sa.ForeignKey("album.id", ondelete="CASCADE"), index=True)
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("group.id", ondelete="CASCADE"))
    member_id: Mapped[str] = mapped_column(sa.ForeignKey("member.id", ondelete="CASCADE"), index=True)
    size: Mapped[int] = mapped_column(sa.BigInteger)
    received: Mapped[int] = mapped_column(sa.BigInteger)
    sealed_name: Mapped[bytes]
    photo_id: Mapped[str | None] = mapped_column(sa.ForeignKey("photo.id", ondelete="CASCADE"), index=True)
    duplicate: Mapped[bool]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    joining_until: Mapped[datetime | None]


class IncomingPart(Base):
    """One part of a file that is still arriving, in the order of `start`: an object of its own, sealed under a key of its own."""

    __tablename__ = "incoming_part"

    incoming_id: Mapped[str] = mapped_column(sa.ForeignKey("incoming.id", ondelete="CASCADE"), primary_key=True)
    start: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    object_name: Mapped[str]
    wrapped_key: Mapped[bytes]
    size: Mapped[int] = mapped_column(sa.BigInteger)
