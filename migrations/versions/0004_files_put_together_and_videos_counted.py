"""One request at a time puts the parts of a file together; the videos of an album are counted"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("incoming", sa.Column("joining_until", sa.DateTime(), nullable=True))
    videos = sa.text("kind = 'video'")
    op.create_index("ix_photo_videos", "photo", ["album_id", "state"], sqlite_where=videos, postgresql_where=videos)


def downgrade() -> None:
    op.drop_index("ix_photo_videos", "photo")
    op.drop_column("incoming", "joining_until")
