"""Hearts, notes, voices, what guests add and have seen; new phones that ask; mail, push, languages; photos that wait or are held"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NO, YES = sa.false(), sa.true()

COLUMNS = (
    ("album", "hides_days", sa.Boolean, NO),
    ("album", "shows_answers", sa.Boolean, NO),
    ("album", "takes_voice", sa.Boolean, NO),
    ("album", "asks_first", sa.Boolean, YES),
    ("member", "language", sa.Text, None),
    ("member", "wants_mail", sa.Boolean, YES),
    ("instance", "sealed_push_key", sa.LargeBinary, None),
    ("guest", "email", sa.Text, None),
    ("guest", "language", sa.Text, None),
    ("guest", "mailed_at", sa.DateTime, None),
    ("guest", "mail_ended_at", sa.DateTime, None),
    ("grant", "may_add", sa.Boolean, NO),
    ("grant", "visited_at", sa.DateTime, None),
    ("grant", "new_since", sa.DateTime, None),
    ("grant", "asked_at", sa.DateTime, None),
    ("grant", "declined_at", sa.DateTime, None),
    ("grant", "reminded_at", sa.DateTime, None),
    ("link", "kind", sa.String(32), "sent"),
    ("photo", "shown_at", sa.DateTime, None),
    ("rendition", "crc32", sa.BigInteger, None),
    ("incoming", "joining_until", sa.DateTime, None),
)
"""A table, its new column with its type, and what the rows there are get; without, it may be empty."""

REFERENCES = (("photo", "guest_id", "guest"), ("activity", "photo_id", "photo"))
"""A table, its new column, and the table that this points to. It is cleared when that row goes, which takes an index."""

NEW_KINDS = (
    "first-opened",
    "note-written",
    "guest-added-photos",
    "more-time-asked",
    "more-time-refused",
    "new-phone-asks",
    "new-phone-refused",
    "photo-reported",
    "photo-held",
    "mail-ended",
    "mail-refused",
)

NEW_DELETIONS = ("adding", "note", "voice", "note-hidden", "voice-hidden", "photo-held", "mail")


def upgrade() -> None:
    for table, name, kind, default in COLUMNS:
        op.add_column(table, sa.Column(name, kind, nullable=default is None, server_default=default))
    op.execute("UPDATE photo SET shown_at = changed_at WHERE state = 'ready'")
    op.create_index("ix_photo_album_id_state_shown_at", "photo", ["album_id", "state", "shown_at"])
    for table, name, other in REFERENCES:
        with op.batch_alter_table(table) as altered:
            altered.add_column(sa.Column(name, sa.Text(), nullable=True))
            altered.create_foreign_key(f"fk_{table}_{name}_{other}", other, [name], ["id"], ondelete="SET NULL")
        op.create_index(f"ix_{table}_{name}", table, [name])
    videos = sa.text("kind = 'video'")
    op.create_index("ix_photo_videos", "photo", ["album_id", "state"], sqlite_where=videos, postgresql_where=videos)
    not_summed = sa.text("name = 'full' AND crc32 IS NULL")
    op.create_index("ix_rendition_not_summed", "rendition", ["photo_id"], sqlite_where=not_summed, postgresql_where=not_summed)
    _new_phones()
    _answers()
    _notifications()


def _new_phones() -> None:
    op.create_table(
        "new_phone",
        sa.Column("id", sa.Text(), nullable=False),
        _points("new_phone", "link_id", "link"),
        sa.Column("cookie_hash", sa.LargeBinary(), nullable=False),
        sa.Column("opened_by", sa.LargeBinary(), nullable=True),
        sa.Column("asked_from", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("answered_at", sa.DateTime(), nullable=True),
        _points("new_phone", "answered_by", "member", cascade=False),
        sa.Column("let_in", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_new_phone"),
        sa.UniqueConstraint("cookie_hash", name="uq_new_phone_cookie_hash"),
    )
    _indexes("new_phone", ["link_id"], ["answered_by"])


def _answers() -> None:
    op.create_table(
        "heart",
        _points("heart", "photo_id", "photo"),
        _points("heart", "guest_id", "guest"),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("photo_id", "guest_id", name="pk_heart"),
    )
    _indexes("heart", ["guest_id"])
    op.create_table(
        "note",
        sa.Column("id", sa.Text(), nullable=False),
        _points("note", "photo_id", "photo"),
        _points("note", "guest_id", "guest"),
        sa.Column("sealed_text", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("hidden_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_note"),
    )
    _indexes("note", ["photo_id", "at"], ["guest_id"])
    op.create_table(
        "voice",
        sa.Column("id", sa.Text(), nullable=False),
        _points("voice", "photo_id", "photo"),
        _points("voice", "guest_id", "guest"),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("object_name", sa.Text(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("duration", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("hidden_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_voice"),
    )
    _indexes("voice", ["photo_id", "at"], ["state", "at"], ["guest_id"])
    op.create_table(
        "seen",
        _points("seen", "photo_id", "photo"),
        _points("seen", "guest_id", "guest"),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("photo_id", "guest_id", "day", name="pk_seen"),
    )
    _indexes("seen", ["guest_id"], ["day"])
    op.create_table(
        "report",
        sa.Column("id", sa.Text(), nullable=False),
        _points("report", "photo_id", "photo"),
        _points("report", "guest_id", "guest", cascade=False),
        _points("report", "member_id", "member", cascade=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("answered_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_report"),
    )
    _indexes("report", ["photo_id"], ["guest_id"], ["member_id"])


def _notifications() -> None:
    op.create_table(
        "notification",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        _points("notification", "group_id", "group"),
        _points("notification", "member_id", "member", nullable=True),
        _points("notification", "guest_id", "guest", nullable=True),
        _points("notification", "album_id", "album", nullable=True),
        _points("notification", "activity_id", "activity", nullable=True),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("sent_at", sa.DateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("given_up_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_notification"),
        sa.UniqueConstraint("activity_id", "member_id", name="uq_notification_activity_id_member_id"),
    )
    for column in ("group_id", "member_id", "guest_id", "album_id", "activity_id"):
        _indexes("notification", [column])
    _indexes("notification", ["sent_at", "due_at"])
    op.create_table(
        "push_subscription",
        sa.Column("id", sa.Text(), nullable=False),
        _points("push_subscription", "device_id", "device"),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("auth", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_push_subscription"),
        sa.UniqueConstraint("device_id", name="uq_push_subscription_device_id"),
    )


def _points(table: str, name: str, other: str, *, cascade: bool = True, nullable: bool = False) -> sa.Column[str]:
    """A column that points to another table; its row goes with the other's, or else is only cleared."""
    key = sa.ForeignKey(f"{other}.id", name=f"fk_{table}_{name}_{other}", ondelete="CASCADE" if cascade else "SET NULL")
    return sa.Column(name, sa.Text(), key, nullable=nullable or not cascade)


def _indexes(table: str, *indexes: list[str]) -> None:
    for columns in indexes:
        op.create_index("_".join(("ix", table, *columns)), table, columns)


def downgrade() -> None:
    """What the version before can't show stays hidden: photos that wait for a yes or are held are refused there."""
    for table in ("push_subscription", "notification", "report", "seen", "voice", "note", "heart", "new_phone"):
        op.drop_table(table)
    op.drop_index("ix_rendition_not_summed", "rendition")
    op.drop_index("ix_photo_videos", "photo")
    op.execute(f"DELETE FROM activity WHERE kind IN {NEW_KINDS}")
    op.execute(f"DELETE FROM deletion WHERE kind IN {NEW_DELETIONS}")
    op.execute("DELETE FROM link WHERE kind <> 'sent'")
    op.execute("UPDATE photo SET state = 'refused', reason = 'hidden' WHERE state IN ('awaiting', 'held')")
    op.drop_index("ix_photo_album_id_state_shown_at", "photo")
    for table, name, other in REFERENCES:
        op.drop_index(f"ix_{table}_{name}", table)
        with op.batch_alter_table(table) as altered:
            altered.drop_constraint(f"fk_{table}_{name}_{other}", type_="foreignkey")
            altered.drop_column(name)
    for table, name, *_ in reversed(COLUMNS):
        op.drop_column(table, name)
