"""Hearts, notes and voices: what guests say about a photo. And who has looked at it."""

from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, word
from app.ids import new_id


class Heart(Base):
    """A guest likes a photo. One row or none."""

    __tablename__ = "heart"

    photo_id: Mapped[str] = mapped_column(sa.ForeignKey("photo.id", ondelete="CASCADE"), primary_key=True)
    guest_id: Mapped[str] = mapped_column(sa.ForeignKey("guest.id", ondelete="CASCADE"), primary_key=True, index=True)
    at: Mapped[datetime]


class Note(Base):
    """What a guest wrote about a photo, sealed under its album's key. A member can hide it: then only its writer and members see it."""

    __tablename__ = "note"
    __table_args__ = (sa.Index("ix_note_photo_id_at", "photo_id", "at"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    photo_id: Mapped[str] = mapped_column(sa.ForeignKey("photo.id", ondelete="CASCADE"))
    guest_id: Mapped[str] = mapped_column(sa.ForeignKey("guest.id", ondelete="CASCADE"), index=True)
    sealed_text: Mapped[bytes]
    at: Mapped[datetime]
    hidden_at: Mapped[datetime | None]


class VoiceState(StrEnum):
    """Where a voice is on its way: we have it, it can be heard, or it can't be made safe to play."""

    RECEIVED = "received"
    READY = "ready"
    REFUSED = "refused"


class Voice(Base):
    """A few seconds that a guest said about a photo: one sealed object, the recording as it came and then what every phone plays.
    `duration` is in milliseconds, `size` in plain bytes; `attempts` counts how often a worker has taken it."""

    __tablename__ = "voice"
    __table_args__ = (sa.Index("ix_voice_photo_id_at", "photo_id", "at"), sa.Index("ix_voice_state_at", "state", "at"))

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    photo_id: Mapped[str] = mapped_column(sa.ForeignKey("photo.id", ondelete="CASCADE"))
    guest_id: Mapped[str] = mapped_column(sa.ForeignKey("guest.id", ondelete="CASCADE"), index=True)
    state: Mapped[VoiceState] = mapped_column(word(VoiceState))
    object_name: Mapped[str | None]
    wrapped_key: Mapped[bytes | None]
    size: Mapped[int] = mapped_column(sa.BigInteger)
    duration: Mapped[int | None]
    attempts: Mapped[int]
    at: Mapped[datetime]
    hidden_at: Mapped[datetime | None]


class Seen(Base):
    """A guest has looked at a photo on this day. Kept 90 days, and never told to a guest."""

    __tablename__ = "seen"
    __table_args__ = (sa.Index("ix_seen_day", "day"),)

    photo_id: Mapped[str] = mapped_column(sa.ForeignKey("photo.id", ondelete="CASCADE"), primary_key=True)
    guest_id: Mapped[str] = mapped_column(sa.ForeignKey("guest.id", ondelete="CASCADE"), primary_key=True, index=True)
    day: Mapped[date] = mapped_column(primary_key=True)
