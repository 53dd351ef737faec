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

    What its owners chose: `hides_days`, guests see no dates at all; `shows_answers`, guests see one another's hearts and notes;
    `takes_voice`, guests may leave a few seconds of their voice; `asks_first`, photos that a guest adds wait for a member's yes.
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
    hides_days: Mapped[bool] = mapped_column(default=False)
    shows_answers: Mapped[bool] = mapped_column(default=False)
    takes_voice: Mapped[bool] = mapped_column(default=False)
    asks_first: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(sa.ForeignKey("member.id", ondelete="SET NULL"))
