"""Families, schools and clubs: the tenants. Nothing crosses a group."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, word
from app.ids import new_id


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
