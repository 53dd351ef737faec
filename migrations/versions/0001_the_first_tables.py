"""The first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "group",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("quota", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_group"),
    )
    op.create_table(
        "instance",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("master_check", sa.LargeBinary(), nullable=False),
        sa.Column("secret_check", sa.LargeBinary(), nullable=False),
        sa.Column("latest", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_instance"),
    )
    op.create_table(
        "removal",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_removal"),
    )
    op.create_table(
        "member",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["group.id"], name="fk_member_group_id_group", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_member"),
        sa.UniqueConstraint("email", name="uq_member_email"),
    )
    op.create_index("ix_member_group_id", "member", ["group_id"])
    op.create_table(
        "album",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_title", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_description", sa.LargeBinary(), nullable=False),
        sa.Column("cover_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["member.id"], name="fk_album_created_by_member", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["group_id"], ["group.id"], name="fk_album_group_id_group", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_album"),
    )
    op.create_index("ix_album_group_id", "album", ["group_id"])
    op.create_table(
        "guest",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["member.id"], name="fk_guest_created_by_member", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["group_id"], ["group.id"], name="fk_guest_group_id_group", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_guest"),
    )
    op.create_index("ix_guest_group_id", "guest", ["group_id"])
    op.create_table(
        "member_session",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("cookie_hash", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name="fk_member_session_member_id_member", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_member_session"),
        sa.UniqueConstraint("cookie_hash", name="uq_member_session_cookie_hash"),
    )
    op.create_index("ix_member_session_member_id", "member_session", ["member_id"])
    op.create_table(
        "one_time_address",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name="fk_one_time_address_member_id_member", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_one_time_address"),
        sa.UniqueConstraint("digest", name="uq_one_time_address_digest"),
    )
    op.create_index("ix_one_time_address_member_id", "one_time_address", ["member_id"])
    op.create_table(
        "activity",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=True),
        sa.Column("member_id", sa.Text(), nullable=True),
        sa.Column("guest_id", sa.Text(), nullable=True),
        sa.Column("album_id", sa.Text(), nullable=True),
        sa.Column("bucket", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["album_id"], ["album.id"], name="fk_activity_album_id_album", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["group_id"], ["group.id"], name="fk_activity_group_id_group", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["guest_id"], ["guest.id"], name="fk_activity_guest_id_guest", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name="fk_activity_member_id_member", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_activity"),
    )
    op.create_index("ix_activity_bucket_at", "activity", ["bucket", "at"])
    op.create_index("ix_activity_group_id_at", "activity", ["group_id", "at"])
    op.create_table(
        "grant",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("guest_id", sa.Text(), nullable=False),
        sa.Column("album_id", sa.Text(), nullable=False),
        sa.Column("may_save", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("ended_by", sa.String(32), nullable=True),
        sa.ForeignKeyConstraint(["album_id"], ["album.id"], name="fk_grant_album_id_album", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["created_by"], ["member.id"], name="fk_grant_created_by_member", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["guest_id"], ["guest.id"], name="fk_grant_guest_id_guest", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_grant"),
        sa.UniqueConstraint("guest_id", "album_id", name="uq_grant_guest_id_album_id"),
    )
    op.create_index("ix_grant_album_id", "grant", ["album_id"])
    op.create_table(
        "link",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("guest_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("replaced_at", sa.DateTime(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["member.id"], name="fk_link_created_by_member", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["guest_id"], ["guest.id"], name="fk_link_guest_id_guest", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_link"),
        sa.UniqueConstraint("digest", name="uq_link_digest"),
    )
    op.create_index("ix_link_guest_id", "link", ["guest_id"])
    op.create_table(
        "photo",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("album_id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_thumbhash", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_caption", sa.LargeBinary(), nullable=True),
        sa.Column("removed", sa.JSON(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["album_id"], ["album.id"], name="fk_photo_album_id_album", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["created_by"], ["member.id"], name="fk_photo_created_by_member", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["group_id"], ["group.id"], name="fk_photo_group_id_group", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_photo"),
        sa.UniqueConstraint("album_id", "fingerprint", name="uq_photo_album_id_fingerprint"),
        sa.UniqueConstraint("album_id", "number", name="uq_photo_album_id_number"),
    )
    op.create_index("ix_photo_album_id_state_taken_at_number", "photo", ["album_id", "state", "taken_at", "number"])
    op.create_index("ix_photo_group_id_stored", "photo", ["group_id", "stored"])
    op.create_index("ix_photo_state_changed_at", "photo", ["state", "changed_at"])
    op.create_table(
        "device",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("guest_id", sa.Text(), nullable=False),
        sa.Column("link_id", sa.Text(), nullable=True),
        sa.Column("cookie_hash", sa.LargeBinary(), nullable=False),
        sa.Column("opened_by", sa.LargeBinary(), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(), nullable=False),
        sa.Column("unused_after", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["guest_id"], ["guest.id"], name="fk_device_guest_id_guest", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name="fk_device_link_id_link", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_device"),
        sa.UniqueConstraint("cookie_hash", "guest_id", name="uq_device_cookie_hash_guest_id"),
    )
    op.create_index("ix_device_guest_id", "device", ["guest_id"])
    op.create_index("ix_device_link_id", "device", ["link_id"])
    op.create_table(
        "rendition",
        sa.Column("photo_id", sa.Text(), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("object_name", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["photo_id"], ["photo.id"], name="fk_rendition_photo_id_photo", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("photo_id", "name", name="pk_rendition"),
    )
    op.create_table(
        "upload",
        sa.Column("photo_id", sa.Text(), nullable=False),
        sa.Column("object_name", sa.Text(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(), nullable=False),
        sa.Column("keep_until", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["photo_id"], ["photo.id"], name="fk_upload_photo_id_photo", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("photo_id", name="pk_upload"),
    )


def downgrade() -> None:
    op.drop_table("upload")
    op.drop_table("rendition")
    op.drop_table("device")
    op.drop_table("photo")
    op.drop_table("link")
    op.drop_table("grant")
    op.drop_table("activity")
    op.drop_table("one_time_address")
    op.drop_table("member_session")
    op.drop_table("guest")
    op.drop_table("album")
    op.drop_table("member")
    op.drop_table("removal")
    op.drop_table("instance")
    op.drop_table("group")
