"""Members, the browsers they are signed in with, and one-time addresses."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base, word
from app.ids import new_id
from app.security.viewer import Role


class Account(Base):
    """A member: a person with an account in one group. `language` is the one they chose; else their browser's is used. `wants_mail`:
    whether they are told by mail of what happens."""

    __tablename__ = "member"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("group.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    role: Mapped[Role] = mapped_column(word(Role))
    language: Mapped[str | None]
    wants_mail: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class SignedIn(Base):
    """One browser of one member. The browser has the cookie, we have its hash; `confirmed_at` is when the password was last typed.
    `opened_by` is the digest of the form that a one-time address was used by: sent twice, it is the same browser."""

    __tablename__ = "member_session"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    member_id: Mapped[str] = mapped_column(sa.ForeignKey("member.id", ondelete="CASCADE"), index=True)
    cookie_hash: Mapped[bytes] = mapped_column(unique=True)
    label: Mapped[str]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    confirmed_at: Mapped[datetime]
    opened_by: Mapped[bytes | None]
    account: Mapped[Account] = relationship(lazy="joined", innerjoin=True)


class AddressKind(StrEnum):
    """What a one-time address is for."""

    SET_UP = "set-up"
    RESET = "reset"


class OneTimeAddress(Base):
    """An address that works once: to found a group, or to choose a new password. Only the digest of its token is kept."""

    __tablename__ = "one_time_address"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[AddressKind] = mapped_column(word(AddressKind))
    digest: Mapped[bytes] = mapped_column(unique=True)
    member_id: Mapped[str | None] = mapped_column(sa.ForeignKey("member.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
