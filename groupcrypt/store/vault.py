"""What a store's bytes look like: wrapped store key, sealed rows, sealed head (spec 16.3).

Rules of this file:
- One random store key per store; everything else is derived from it with a label.
- A row is sealed under a key made of the store key, its name and a 32-byte random salt that is
  new on each write. Without the salt the row is lost for good, whoever has the store key.
- The head authenticates the set of rows as a whole, so rows of two moments cannot be mixed.

It does no I/O: where salts and rows lie is decided by `sqlite`.
"""

import os
import struct
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final

from groupcrypt.errors import (
    AuthenticationFailed,
    MalformedFrame,
    StoreCorrupt,
    StoreError,
    WrongPassphrase,
)
from groupcrypt.protocol import primitives, wire
from groupcrypt.protocol.wire import U8, U32, U64, Blob, Bytes16, Bytes32
from groupcrypt.store.keyfile import read_key_file

KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
NO_SALT: Final = bytes(SALT_BYTES)  # what a free slot holds
NAME_BYTES: Final = 16
ROW_STEP: Final = 64  # bytes; row lengths are rounded up to it, so that they say little
MAX_ROW_BYTES: Final = 64 * 1024 * 1024
MAX_TOTAL: Final = 2**256
# Bounds on what a header may ask of Argon2id, so that a forged one cannot exhaust the machine.
MAX_MEMORY_KIB: Final = 1024 * 1024
MAX_PASSES: Final = 16
MAX_LANES: Final = 16
_LENGTHS: Final = struct.Struct(">HI")


@dataclass(frozen=True, slots=True)
class Stretch:
    """The cost of Argon2id."""

    memory_kib: int
    passes: int
    lanes: int


STRETCH: Final = Stretch(64 * 1024, 3, 4)  # RFC 9106 section 4, second choice: about 0.2 s


class Method(IntEnum):
    """What opens the store."""

    KEY_FILE = 0
    PASSPHRASE = 1


@dataclass(frozen=True, slots=True, repr=False)
class Opener:
    """The secret the user brought, before it is stretched."""

    method: Method
    secret: bytes


@wire.shape
class Terms:
    """How the store key is wrapped; the associated data of the wrapping. Sizes in KiB."""

    store: Bytes32
    method: U8
    salt: Bytes32
    memory_kib: U32
    passes: U32
    lanes: U8


@wire.shape
class Header:
    """The only plaintext of a store. `check` tells damage from a wrong passphrase."""

    terms: Annotated[bytes, Blob(1, 256)]
    wrapped: Annotated[bytes, Blob(KEY_BYTES + primitives.TAG_BYTES)]
    check: Bytes32


@wire.shape
class Head:
    """The state of the store as a whole, sealed anew in each commit.

    `running`: opened and not closed since, so a log file must lie beside the database.
    `total`: the sum of the weights of all rows, modulo 2^256.
    """

    generation: U64
    boot: U64
    boot_nonce: Bytes16
    running: bool
    rolled_back: bool
    count: U64
    total: Bytes32


def opener(passphrase: str | None, key_file: str | os.PathLike[str] | None) -> Opener:
    """The one secret that was given; raises `StoreError` for none, both, or an unusable one."""
    if (passphrase is None) == (key_file is None):
        raise StoreError("give either a passphrase or a key file")
    if key_file is not None:
        return Opener(Method.KEY_FILE, read_key_file(key_file))
    assert passphrase is not None
    if not passphrase:
        raise StoreError("an empty passphrase protects nothing")
    # One passphrase typed on two keyboards may be composed differently (RFC 8265, 4.2.2).
    return Opener(Method.PASSPHRASE, unicodedata.normalize("NFC", passphrase).encode())


def _wrapping_key(secret: bytes, terms: Terms, raw: bytes) -> bytes:
    if terms.method == Method.PASSPHRASE:
        secret = primitives.stretch(
            secret,
            terms.salt,
            memory_kib=terms.memory_kib,
            passes=terms.passes,
            lanes=terms.lanes,
        )
    return primitives.expand(secret, "store wrapping key", raw)


def wrap(store_key: bytes, brought: Opener, salt: bytes, store: bytes, cost: Stretch) -> bytes:
    """The header of a store (spec 16.3). `salt` and `store` are 32 fresh random bytes each."""
    terms = Terms(store, brought.method, salt, cost.memory_kib, cost.passes, cost.lanes)
    raw = wire.encode(terms)
    wrapped = primitives.seal(_wrapping_key(brought.secret, terms, raw), store_key, raw)
    return wire.encode(Header(raw, wrapped, primitives.digest("store header", raw, wrapped)))


def unwrap(raw: bytes, brought: Opener) -> tuple[bytes, bytes]:
    """The store's id and its key; raises `StoreCorrupt` or `WrongPassphrase`."""
    try:
        header = wire.decode(Header, raw)
        terms = wire.decode(Terms, header.terms)
    except MalformedFrame as error:
        raise StoreCorrupt("the header of the store is damaged") from error
    expected = primitives.digest("store header", header.terms, header.wrapped)
    if not primitives.equal(expected, header.check) or not _sane(terms):
        raise StoreCorrupt("the header of the store is damaged")
    if terms.method != brought.method:
        kind = "passphrase" if terms.method == Method.PASSPHRASE else "key file"
        raise WrongPassphrase(f"this store opens with a {kind}")
    try:
        key = _wrapping_key(brought.secret, terms, header.terms)
        return terms.store, primitives.unseal(key, header.wrapped, header.terms)
    except AuthenticationFailed:
        raise WrongPassphrase("the passphrase or key file does not open this store") from None


def _sane(terms: Terms) -> bool:
    if terms.method == Method.KEY_FILE:
        return True
    return (
        terms.method == Method.PASSPHRASE
        and 1 <= terms.passes <= MAX_PASSES
        and 1 <= terms.lanes <= MAX_LANES
        and 8 * terms.lanes <= terms.memory_kib <= MAX_MEMORY_KIB
    )


class Vault:
    """The keys of an open store."""

    __slots__ = ("_heads", "_messages", "_names", "_rows", "_store", "_weights")

    def __init__(self, store: bytes, store_key: bytes) -> None:
        self._store = store
        self._names = primitives.expand(store_key, "store names", store)
        self._rows = primitives.expand(store_key, "store rows", store)
        self._weights = primitives.expand(store_key, "store weights", store)
        self._heads = primitives.expand(store_key, "store heads", store)
        self._messages = primitives.expand(store_key, "store messages", store)

    def __repr__(self) -> str:
        return "<Vault>"

    def name(self, key: bytes) -> bytes:
        """What a row is called in the file: 16 bytes that say nothing of its key."""
        return primitives.mac(self._names, "store name", key)[:NAME_BYTES]

    def weight(self, name: bytes, salt: bytes) -> int:
        """What a row adds to the head's total. The salt stands for the content it seals."""
        return int.from_bytes(primitives.mac(self._weights, "store weight", name, salt), "big")

    def _row_key(self, name: bytes, salt: bytes) -> bytes:
        return primitives.expand(self._rows, "store row", name, salt)

    def seal_row(self, name: bytes, salt: bytes, key: bytes, value: bytes) -> bytes:
        """Seal key and value; the length is rounded up to `ROW_STEP`."""
        if len(key) > 0xFFFF or len(value) > MAX_ROW_BYTES:
            raise StoreError(f"a row of {len(key)} and {len(value)} bytes is too large")
        plaintext = _LENGTHS.pack(len(key), len(value)) + key + value
        plaintext += bytes(-len(plaintext) % ROW_STEP)
        return primitives.seal(self._row_key(name, salt), plaintext, self._store + name)

    def open_row(self, name: bytes, salt: bytes, sealed: bytes) -> tuple[bytes, bytes]:
        """Undo `seal_row`; raises `StoreCorrupt`."""
        try:
            plaintext = primitives.unseal(self._row_key(name, salt), sealed, self._store + name)
        except AuthenticationFailed:
            raise StoreCorrupt("a row of the store does not open") from None
        key_end = _LENGTHS.size + _LENGTHS.unpack_from(plaintext)[0]
        value_end = key_end + _LENGTHS.unpack_from(plaintext)[1]
        return plaintext[_LENGTHS.size : key_end], plaintext[key_end:value_end]

    def seal_message(self, salt: bytes, plain: bytes, bound: bytes) -> bytes:
        """Seal a message of the history, or a page of its search (spec 16.3)."""
        key = primitives.expand(self._messages, "store message", salt)
        return primitives.seal(key, plain, self._store + bound)

    def open_message(self, salt: bytes, sealed: bytes, bound: bytes) -> bytes:
        """Undo `seal_message`; raises `AuthenticationFailed`."""
        key = primitives.expand(self._messages, "store message", salt)
        return primitives.unseal(key, sealed, self._store + bound)

    def seal_head(self, head: Head, salt: bytes) -> bytes:
        """The salt, then the sealed head."""
        key = primitives.expand(self._heads, "store head", salt)
        return salt + primitives.seal(key, wire.encode(head), self._store)

    def open_head(self, sealed: bytes) -> Head:
        """Undo `seal_head`; raises `StoreCorrupt`."""
        key = primitives.expand(self._heads, "store head", sealed[:SALT_BYTES])
        try:
            return wire.decode(Head, primitives.unseal(key, sealed[SALT_BYTES:], self._store))
        except (AuthenticationFailed, MalformedFrame):
            raise StoreCorrupt("the head of the store does not open") from None
