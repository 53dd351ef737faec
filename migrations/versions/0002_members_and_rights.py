"""Invitations, the deletion journal, and what the instance knows about its backups and its bucket"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INDEXES = (
    ("photo", ["group_id", "stored"], ["group_id", "state", "stored"]),
    ("photo", [], ["album_id", "state", "changed_at"]),
    ("photo", [], ["created_by"]),
    ("guest", ["group_id"], ["group_id", "folded", "id"]),
    ("guest", [], ["group_id", "shared_at", "id"]),
    ("grant", ["album_id"], ["album_id", "ended_at", "expires_at"]),
    ("activity", ["group_id", "at"], ["group_id", "at", "id"]),
)
"""A table, the columns of the index there was, and those of the one in its place."""


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
    op.add_column("guest", sa.Column("seen_until", sa.DateTime(), nullable=True))
    op.add_column("member_session", sa.Column("opened_by", sa.LargeBinary(), nullable=True))
    with op.batch_alter_table("activity") as activity:
        activity.add_column(sa.Column("other_id", sa.Text(), nullable=True))
        activity.create_foreign_key("fk_activity_other_id_member", "member", ["other_id"], ["id"], ondelete="SET NULL")
    # Who signed in when is nobody else's affair, now that members see what happened.
    op.execute("DELETE FROM activity WHERE kind = 'signed-in'")
    # Deleting a member, a guest or an album clears these columns: without an index, each deletion would read all that ever happened.
    for column in ("member_id", "other_id", "guest_id", "album_id"):
        op.create_index(f"ix_activity_{column}", "activity", [column])
    _what_large_groups_need()


def _what_large_groups_need() -> None:
    op.add_column("album", sa.Column("ready", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("album", sa.Column("ready_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    ready = "FROM photo WHERE photo.album_id = album.id AND photo.state = 'ready'"
    op.execute(f"UPDATE album SET ready = (SELECT count(*) {ready}), ready_bytes = (SELECT coalesce(sum(stored), 0) {ready})")
    op.add_column("guest", sa.Column("folded", sa.Text(), nullable=False, server_default=""))
    op.add_column("guest", sa.Column("shared_at", sa.DateTime(), nullable=False, server_default="2026-01-01 00:00:00"))
    links = "SELECT max(link.created_at) FROM link WHERE link.guest_id = guest.id"
    op.execute(f"UPDATE guest SET shared_at = coalesce(({links}), created_at)")
    guest = sa.table("guest", sa.column("id"), sa.column("name"), sa.column("folded"))
    for row in op.get_bind().execute(sa.select(guest.c.id, guest.c.name)).all():
        op.execute(sa.update(guest).where(guest.c.id == row.id).values(folded=_folded(row.name)))
    for table, before, columns in INDEXES:
        op.create_index("_".join(("ix", table, *columns)), table, columns)
        if before:
            op.drop_index("_".join(("ix", table, *before)), table)


def _folded(name: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each)).casefold()


def downgrade() -> None:
    for table, before, columns in reversed(INDEXES):
        if before:
            op.create_index("_".join(("ix", table, *before)), table, before)
        op.drop_index("_".join(("ix", table, *columns)), table)
    for table, column in (("guest", "shared_at"), ("guest", "folded"), ("album", "ready_bytes"), ("album", "ready")):
        op.drop_column(table, column)
    for column in ("album_id", "guest_id", "other_id", "member_id"):
        op.drop_index(f"ix_activity_{column}", "activity")
    op.execute(
        "DELETE FROM activity WHERE kind IN ('member-invited', 'member-joined', 'owner-made', 'editor-made', 'member-removed', "
        "'member-left', 'invitation-ended', 'group-changed', 'data-exported')"
    )
    with op.batch_alter_table("activity") as activity:
        activity.drop_constraint("fk_activity_other_id_member", type_="foreignkey")
        activity.drop_column("other_id")
    op.drop_column("member_session", "opened_by")
    op.drop_column("guest", "seen_until")
    op.drop_column("instance", "backed_up_at")
    op.drop_column("instance", "exposed_at")
    op.drop_table("deletion")
    op.drop_table("invitation")
