"""Objects that nobody needs any more, until they are gone from storage."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.ids import new_id


class Removal(Base):
    """A promise to remove: an object by its name, or everything under a name that ends in `/`."""

    __tablename__ = "removal"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    created_at: Mapped[datetime]
