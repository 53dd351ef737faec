"""Web Push (RFC 8030): a short sentence, encrypted for one browser (RFC 8291) and signed by this instance (VAPID, RFC 8292)."""

import base64
import logging
import time
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.errors import Refused
from app.house import House
from app.instance import keep_push_key, push_key
from app.notifications.models import PushSubscription
from app.notifications.pinned import SERVICES, Pinned, Unreachable

log = logging.getLogger("kinfold.told")

LASTS = 86_400
"""Seconds for which a push service keeps a message for a browser that is away; how long a signature is good is half of that."""

POINT = 65
SECRET = 16
"""Bytes of a browser's public key, and of the secret that it shares with us."""


class Push:
    """Tells browsers, by way of the services of their makers."""

    def __init__(self, house: House, pinned: Pinned | None = None) -> None:
        self._house = house
        self._pinned = pinned or Pinned(services(house))

    def send(self, subscription: PushSubscription, message: bytes) -> int | None:
        """Hand one message to a browser's push service; returns the status that it answers, None when it does not or may not be asked."""
        # They load two web clients, which a process that pushes nothing should not pay for.
        from py_vapid import Vapid02
        from pywebpush import WebPusher

        key = _private_key(self._house)
        if key is None:
            return None
        parts = urlsplit(subscription.endpoint)
        claims = {
            "aud": f"https://{parts.netloc}",
            "exp": int(time.time()) + LASTS // 2,
            "sub": f"mailto:{self._house.settings.mail_from}"
            if self._house.settings.mail_from
            else self._house.settings.base_url,
        }
        keys = {"p256dh": _text(subscription.public_key), "auth": _text(subscription.auth)}
        body = WebPusher({"endpoint": subscription.endpoint, "keys": keys}).encode(message, "aes128gcm")["body"]
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(LASTS),
            **Vapid02(key, conf={"no-strict": True}).sign(claims),
        }
        try:
            return self._pinned.post(subscription.endpoint, headers, body)
        except (Refused, Unreachable) as error:
            log.warning("a browser could not be told: %s", error)
            return None


def services(house: House) -> tuple[str, ...]:
    """The push services that may be asked."""
    return house.settings.push_services or SERVICES


def make_key(house: House) -> None:
    """A sweep: the key that push messages are signed with is there. It is made once: browsers are bound to it."""
    if not house.settings.push or _private_key(house) is not None:
        return
    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    with house.database.writing() as session:
        keep_push_key(session, house.master, number.to_bytes(32))


def public_key(house: House) -> str | None:
    """What a browser needs to know to be told by us and by nobody else; None where nobody is told by push."""
    key = _private_key(house) if house.settings.push else None
    return None if key is None else _text(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def read_keys(public: str, auth: str) -> tuple[bytes, bytes]:
    """The two keys that a browser sends. Raises `Refused` for what are none."""
    try:
        point, secret = _bytes(public), _bytes(auth)
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise Refused("push-wrong") from None
    if len(point) != POINT or len(secret) != SECRET:
        raise Refused("push-wrong")
    return point, secret


def _private_key(house: House) -> ec.EllipticCurvePrivateKey | None:
    with house.database.reading() as session:
        number = push_key(session, house.master)
    return None if number is None else ec.derive_private_key(int.from_bytes(number), ec.SECP256R1())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(
        text.encode("ascii").translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(text) % 4), validate=True
    )
