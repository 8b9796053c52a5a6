"""Contact cards: the short text by which one person lets another reach them (spec 02.5).

Rules of this file:
- A card has one text; spaces and line breaks that came with pasting are dropped before reading.
- Whatever is wrong with a card is said in words a user can act on, as `InvalidCard`.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Self

from groupcrypt.errors import InvalidCard, RemoteError
from groupcrypt.protocol import limits
from groupcrypt.protocol.identifiers import AccountId
from groupcrypt.protocol.identity.certificates import AccountPublic
from groupcrypt.protocol.identity.packed import check_server, pack, unpack
from groupcrypt.protocol.wire import Bytes32, Text, decode, encode, shape


@shape
class _CardFields:
    account: AccountPublic
    server: Annotated[str, Text(limits.MAX_SERVER_BYTES)]
    server_key: Bytes32
    slot_name: Bytes32
    slot_key: Bytes32


_SCHEME: Final = "groupcrypt"
_LABEL: Final = "card"


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
        return pack(_SCHEME, _LABEL, fields)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a card; spaces and line breaks do not matter. Raises `InvalidCard` (spec 02.5)."""
        try:
            fields = unpack(_SCHEME, _LABEL, text, limits.MAX_CARD_BYTES)
            card = decode(_CardFields, fields, limits.MAX_CARD_BYTES)
            check_server(card.server)
        except RemoteError as error:
            raise InvalidCard(f"a contact card with unusable fields: {error}") from None
        except ValueError as error:
            raise InvalidCard(f"a contact card {error}") from None
        return cls(card.account, card.server, card.server_key, card.slot_name, card.slot_key)
