"""Invitations, the deletion journal, and what the instance knows about its backups and its bucket"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "invitation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["member.id"], name="fk_invitation_created_by_member", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["group_id"], ["group.id"], name="fk_invitation_group_id_group", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_invitation"),
        sa.UniqueConstraint("digest", name="uq_invitation_digest"),
    )
    op.create_index("ix_invitation_group_id", "invitation", ["group_id"])
    op.create_index("ix_invitation_created_by", "invitation", ["created_by"])
    op.create_table(
        "deletion",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deletion"),
    )
    op.create_index("ix_deletion_at", "deletion", ["at"])
    op.add_column("instance", sa.Column("exposed_at", sa.DateTime(), nullable=True))
    op.add_column("instance", sa.Column("backed_up_at", sa.DateTime(), nullable=True))
    with op.batch_alter_table("activity") as activity:
        activity.add_column(sa.Column("other_id", sa.Text(), nullable=True))
        activity.create_foreign_key("fk_activity_other_id_member", "member", ["other_id"], ["id"], ondelete="SET NULL")
    # Deleting a member, a guest or an album clears these columns: without an index, each deletion would read all that ever happened.
    for column in ("member_id", "other_id", "guest_id", "album_id"):
        op.create_index(f"ix_activity_{column}", "activity", [column])


def downgrade() -> None:
    for column in ("album_id", "guest_id", "other_id", "member_id"):
        op.drop_index(f"ix_activity_{column}", "activity")
    op.execute(
        "DELETE FROM activity WHERE kind IN ('member-invited', 'member-joined', 'role-changed', 'member-removed', 'member-left', "
        "'invitation-ended', 'group-changed', 'data-exported')"
    )
    with op.batch_alter_table("activity") as activity:
        activity.drop_constraint("fk_activity_other_id_member", type_="foreignkey")
        activity.drop_column("other_id")
    op.drop_column("instance", "backed_up_at")
    op.drop_column("instance", "exposed_at")
    op.drop_table("deletion")
    op.drop_table("invitation")
