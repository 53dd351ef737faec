"""Families, schools and clubs: the tenants. Nothing crosses a group."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, word
from app.ids import new_id
from app.security.viewer import Role


class GroupKind(StrEnum):
    """What sort of group it is."""

    FAMILY = "family"
    SCHOOL = "school"
    CLUB = "club"


class Group(Base):
    """A family, a school or a club. `quota` (bytes) is its own, else the instance's setting holds."""

    __tablename__ = "group"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    kind: Mapped[GroupKind] = mapped_column(word(GroupKind))
    quota: Mapped[int | None] = mapped_column(sa.BigInteger)
    created_at: Mapped[datetime]


class Invitation(Base):
    """An address that works once: whoever opens it becomes a member with this role. Only the digest of its token is kept. `name` says
    whom it is meant for, so that an owner can tell two apart. It ends with the member who made it."""

    __tablename__ = "invitation"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("group.id", ondelete="CASCADE"), index=True)
    role: Mapped[Role] = mapped_column(word(Role))
    name: Mapped[str]
    digest: Mapped[bytes] = mapped_column(unique=True)
    created_by: Mapped[str] = mapped_column(sa.ForeignKey("member.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
