"""One request at a time puts the parts of a file together"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("incoming", sa.Column("joining_until", sa.DateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("incoming", "joining_until")
