"""Guests, what they may see, the links they get and the browsers they use."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from app.albums.models import Album
from app.db import Base, word
from app.ids import new_id
from app.sharing import rules


class EndedBy(StrEnum):
    """Why something has ended: its date came, or a member ended it. Only the first may be told to a guest."""

    DATE = "date"
    HAND = "hand"


class LinkKind(StrEnum):
    """How a link reaches its guest, and so whom it lets in: one that a member sent lets the first few phones in at once; one in a mail, or
    on a printed card, lets nobody new in without a member's yes."""

    SENT = "sent"
    MAIL = "mail"
    POSTCARD = "postcard"


class Guest(Base):
    """A named person without an account. Belongs to a group.

    `folded` is the name as names are compared, sorted and searched, on every database alike; it follows `name`. `shared_at` is when
    somebody last shared with them, at first when they were added. `seen_until` is until when they saw an album that was deleted since, so
    that we know when to forget them. `language` is what they read; `email` is there only if they want to be told of new photos, until
    `mail_ended_at`; `mailed_at` is when they were told last.
    """

    __tablename__ = "guest"
    __table_args__ = (
        sa.Index("ix_guest_group_id_folded_id", "group_id", "folded", "id"),
        sa.Index("ix_guest_group_id_shared_at_id", "group_id", "shared_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("group.id", ondelete="CASCADE"))
    name: Mapped[str]
    folded: Mapped[str]
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(sa.ForeignKey("member.id", ondelete="SET NULL"))
    shared_at: Mapped[datetime]
    seen_until: Mapped[datetime | None]
    email: Mapped[str | None]
    language: Mapped[str | None]
    mailed_at: Mapped[datetime | None]
    mail_ended_at: Mapped[datetime | None]

    @validates("name")
    def _fold(self, _field: str, name: str) -> str:
        self.folded = rules.folded(name)
        return name


class Grant(Base):
    """This guest may see this album until `expires_at`, may or may not save, and may or may not add photos. One row for each guest and
    album.

    `visited_at` is their last visit and `new_since` the end of the one before: what has come since is new to them. `asked_at`: they asked
    for more time; `declined_at`: a member said no (see `rules.more_time`). `reminded_at`: they were told that it ends soon.
    """

    __tablename__ = "grant"
    __table_args__ = (
        sa.UniqueConstraint("guest_id", "album_id"),
        sa.Index("ix_grant_album_id_ended_at_expires_at", "album_id", "ended_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    guest_id: Mapped[str] = mapped_column(sa.ForeignKey("guest.id", ondelete="CASCADE"))
    album_id: Mapped[str] = mapped_column(sa.ForeignKey("album.id", ondelete="CASCADE"))
    may_save: Mapped[bool]
    may_add: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(sa.ForeignKey("member.id", ondelete="SET NULL"))
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[EndedBy | None] = mapped_column(word(EndedBy))
    visited_at: Mapped[datetime | None]
    new_since: Mapped[datetime | None]
    asked_at: Mapped[datetime | None]
    declined_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    album: Mapped[Album] = relationship(lazy="raise")


class Link(Base):
    """An address that a member sends to a guest. Only the digest of its token is kept. `places` browsers may be let in by it,
    `used` have been. `replaced_at`: a newer link was made, or a member said no to who came with
    this one: it lets nobody in any more but ends no device."""

    __tablename__ = "link"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    guest_id: Mapped[str] = mapped_column(sa.ForeignKey("guest.id", ondelete="CASCADE"), index=True)
    kind: Mapped[LinkKind] = mapped_column(word(LinkKind), default=LinkKind.SENT)
    digest: Mapped[bytes] = mapped_column(unique=True)
    places: Mapped[int]
    used: Mapped[int]
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(sa.ForeignKey("member.id", ondelete="SET NULL"))
    expires_at: Mapped[datetime]
    replaced_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    guest: Mapped[Guest] = relationship(lazy="raise")


class DeviceRow(Base):
    """One browser of one guest; a shared tablet has a row for each of its guests, all with the same cookie. `unused_after` moves with every
    visit, `expires_at` does not. `opened_by` is the digest of the form whose button was tapped: tapped twice, it is the same device."""

    __tablename__ = "device"
    __table_args__ = (sa.UniqueConstraint("cookie_hash", "guest_id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    guest_id: Mapped[str] = mapped_column(sa.ForeignKey("guest.id", ondelete="CASCADE"), index=True)
    link_id: Mapped[str | None] = mapped_column(sa.ForeignKey("link.id", ondelete="SET NULL"), index=True)
    cookie_hash: Mapped[bytes]
    opened_by: Mapped[bytes | None]
    label: Mapped[str]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    unused_after: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    guest: Mapped[Guest] = relationship(lazy="raise")


class NewPhone(Base):
    """A browser that stands before a link and waits for a member's yes. `number` has two digits and is shown on both sides, so that Anna
    knows whose phone it is; `cookie_hash` is the digest of the secret by which the waiting browser is known, and only that one is let
    in. After `expires_at` nobody is. `opened_by` is the digest of the form whose button was tapped: tapped twice, only the second waits.
    `asked_from` is a keyed hash of the network that it asks from. A no takes the row away."""

    __tablename__ = "new_phone"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    link_id: Mapped[str] = mapped_column(sa.ForeignKey("link.id", ondelete="CASCADE"), index=True)
    cookie_hash: Mapped[bytes] = mapped_column(unique=True)
    opened_by: Mapped[bytes | None]
    asked_from: Mapped[str]
    number: Mapped[int]
    label: Mapped[str]
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    answered_by: Mapped[str | None] = mapped_column(sa.ForeignKey("member.id", ondelete="SET NULL"), index=True)
    let_in: Mapped[bool | None]
    link: Mapped[Link] = relationship(lazy="raise")
