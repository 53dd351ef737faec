"""What people say is wrong with a photo."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.ids import new_id


class Report(Base):
    """Somebody said that something is wrong with a photo. `answered_at`: a member has looked at it. It stays as long as the photo does."""

    __tablename__ = "report"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    photo_id: Mapped[str] = mapped_column(sa.ForeignKey("photo.id", ondelete="CASCADE"), index=True)
    guest_id: Mapped[str | None] = mapped_column(sa.ForeignKey("guest.id", ondelete="SET NULL"), index=True)
    member_id: Mapped[str | None] = mapped_column(sa.ForeignKey("member.id", ondelete="SET NULL"), index=True)
    at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
