"""Contact cards: the short text by which one person lets another reach them (spec 02.5).

Rules of this file:
- A card has one text; spaces and line breaks that came with pasting are dropped before reading.
- Whatever is wrong with a card is said in words a user can act on, as `InvalidCard`.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Final, Self

from groupcrypt.errors import InvalidCard, RemoteError
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import AccountId
from groupcrypt.protocol.identity.certificates import AccountPublic
from groupcrypt.protocol.identity.display import to_text
from groupcrypt.protocol.primitives import digest
from groupcrypt.protocol.wire import Bytes32, Text, decode, encode, shape


@shape
class _CardFields:
    account: AccountPublic
    server: Annotated[str, Text(limits.MAX_SERVER_BYTES)]
    server_key: Bytes32
    slot_name: Bytes32
    slot_key: Bytes32


_CARD_PREFIX: Final = f"groupcrypt:{limits.VERSION}:"
_CARD_CHECK_BYTES: Final = 4


@dataclass(frozen=True, slots=True, repr=False)
class Card:
    """What one person gives another to be reached: short text to paste or show (spec 02.5)."""

    account: AccountId
    server: str  # "host:port"; an IPv6 host in brackets
    server_key: bytes  # SHA-256 of the pinned certificate's key; zeros: the web's authorities
    slot_name: bytes  # 32 bytes
    slot_key: bytes  # 32 bytes

    def __str__(self) -> str:
        fields = encode(
            _CardFields(
                self.account,
                self.server,
                self.server_key,
                self.slot_name,
                self.slot_key,
            )
        )
        check = digest("card", fields)[:_CARD_CHECK_BYTES]
        return _CARD_PREFIX + to_text(check + fields)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a card; spaces and line breaks do not matter. Raises `InvalidCard` (spec 02.5)."""
        packed = "".join(text.split())
        scheme, _, rest = packed.partition(":")
        version, _, body = rest.partition(":")
        if scheme != "groupcrypt" or not body:
            raise InvalidCard(f'a contact card begins with "{_CARD_PREFIX}"')
        if version != str(limits.VERSION):
            raise InvalidCard("a contact card of another version; one of you needs an upgrade")
        raw = _from_text(body)
        fields = raw[_CARD_CHECK_BYTES:]
        if digest("card", fields)[:_CARD_CHECK_BYTES] != raw[:_CARD_CHECK_BYTES]:
            raise InvalidCard("a contact card with a wrong checksum; copy all of it again")
        try:
            card = decode(_CardFields, fields, limits.MAX_CARD_BYTES)
        except RemoteError as error:
            raise InvalidCard(f"a contact card with unusable fields: {error}") from None
        _check_server(card.server)
        return cls(card.account, card.server, card.server_key, card.slot_name, card.slot_key)


def _from_text(text: str) -> bytes:
    if len(text) > 2 * limits.MAX_CARD_BYTES:
        raise InvalidCard("a contact card is shorter than this; copy only the card")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidCard("a contact card with characters that do not belong in it") from None
    if to_text(raw) != text:
        raise InvalidCard("a contact card with characters that do not belong in it")
    return raw


def _check_server(server: str) -> None:
    host, _, port = server.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    plain = host.isascii() and host.isprintable() and not set(host) & set(" /@?#\\")
    if not host or not plain or (":" in host) != bracketed:
        raise InvalidCard('a contact card whose server is not "host:port"')
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16 and port[0] != "0"):
        raise InvalidCard("a contact card whose server has no valid port")
