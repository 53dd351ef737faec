"""Albums. What a person wrote is sealed under the album's own key, and that key under the master key."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.ids import new_id


class Album(Base):
    """An album of a group. Destroying `wrapped_key` destroys every photo in it.

    `cover_id` is no foreign key, because photos point at albums already; a cover that is gone is simply not used. `ready` and `ready_bytes`
    say how many photos can be seen and how much they take, so that nobody has to count a hundred thousand.
    """

    __tablename__ = "album"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("group.id", ondelete="CASCADE"), index=True)
    wrapped_key: Mapped[bytes]
    sealed_title: Mapped[bytes]
    sealed_description: Mapped[bytes]
    cover_id: Mapped[str | None]
    ready: Mapped[int] = mapped_column(default=0)
    ready_bytes: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(sa.ForeignKey("member.id", ondelete="SET NULL"))
