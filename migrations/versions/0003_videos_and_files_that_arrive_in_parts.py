"""Videos, the two halves of Live Photos, and files that arrive in parts"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("photo", sa.Column("duration", sa.Integer(), nullable=True))
    op.add_column("photo", sa.Column("pair", sa.LargeBinary(), nullable=True))
    op.create_index("ix_photo_album_id_pair", "photo", ["album_id", "pair"])
    op.add_column("upload", sa.Column("progress", sa.Integer(), nullable=True))
    op.create_table(
        "incoming",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("album_id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False),
        sa.Column("photo_id", sa.Text(), nullable=True),
        sa.Column("duplicate", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["album_id"], ["album.id"], name="fk_incoming_album_id_album", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["group_id"], ["group.id"], name="fk_incoming_group_id_group", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name="fk_incoming_member_id_member", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["photo_id"], ["photo.id"], name="fk_incoming_photo_id_photo", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_incoming"),
    )
    for columns in (["album_id"], ["member_id"], ["photo_id"], ["group_id", "photo_id", "size"], ["expires_at"]):
        op.create_index("_".join(("ix_incoming", *columns)), "incoming", columns)
    op.create_table(
        "incoming_part",
        sa.Column("incoming_id", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("object_name", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incoming_id"], ["incoming.id"], name="fk_incoming_part_incoming_id_incoming", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("incoming_id", "start", name="pk_incoming_part"),
    )


def downgrade() -> None:
    """Videos can't be shown by the version before: they go, with their objects left to the sweep of unclaimed ones."""
    op.drop_table("incoming_part")
    op.drop_table("incoming")
    op.execute("DELETE FROM rendition WHERE photo_id IN (SELECT id FROM photo WHERE kind = 'video')")
    op.execute("DELETE FROM upload WHERE photo_id IN (SELECT id FROM photo WHERE kind = 'video')")
    op.execute("UPDATE album SET cover_id = NULL WHERE cover_id IN (SELECT id FROM photo WHERE kind = 'video')")
    op.execute("DELETE FROM photo WHERE kind = 'video'")
    ready = "FROM photo WHERE photo.album_id = album.id AND photo.state = 'ready'"
    op.execute(f"UPDATE album SET ready = (SELECT count(*) {ready}), ready_bytes = (SELECT coalesce(sum(stored), 0) {ready})")
    op.drop_column("upload", "progress")
    op.drop_index("ix_photo_album_id_pair", "photo")
    op.drop_column("photo", "pair")
    op.drop_column("photo", "duration")
