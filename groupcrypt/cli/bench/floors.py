"""Floors for `groupcrypt bench`: the bare primitives an operation needs, and nothing around them.

Rules of this file:
- Straight calls of `cryptography` and `hmac.digest` on bytes that lie ready: no codec, no checks,
  no state. Long-lived private and public key objects are kept, keys used once are loaded each time.
- A floor counts what the specification asks for. What else the library does is above the floor.
- SQLite beneath the store's commit: the same rows, in the same mode, unsealed.

It does not import the library: a floor must not get faster or slower with it.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from hmac import digest
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY: Final = bytes(range(32))
_NONCE: Final = bytes(12)
_SIGNED: Final = bytes(45)  # as long as what the library signs: a prefix and a hash
_SIGNING: Final = Ed25519PrivateKey.from_private_bytes(_KEY)
_VERIFYING: Final = _SIGNING.public_key()
_SIGNATURE: Final = _SIGNING.sign(_SIGNED)
_DH: Final = X25519PrivateKey.from_private_bytes(_KEY)
_DH_PUBLIC: Final = _DH.public_key().public_bytes_raw()

Body = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Needs:
    """How many of each primitive; those over bytes by the sizes of their inputs."""

    sign: int = 0
    verify: int = 0
    dh_keys: int = 0  # X25519 pairs made
    dh: int = 0  # X25519 exchanges
    signing_keys: int = 0  # Ed25519 pairs made
    kem_keys: int = 0
    encapsulate: int = 0
    decapsulate: int = 0
    hmac: tuple[int, ...] = ()
    sha: tuple[int, ...] = ()
    seal: tuple[int, ...] = ()
    unseal: tuple[int, ...] = ()

    def text(self) -> str:
        """The counts, for people."""
        return ", ".join(f"{count} {name}" for name, count in self.counts() if count)

    def counts(self) -> tuple[tuple[str, int], ...]:
        """(name, count) of each primitive."""
        return (
            ("Ed25519 sign", self.sign),
            ("Ed25519 verify", self.verify),
            ("Ed25519 keygen", self.signing_keys),
            ("X25519 keygen", self.dh_keys),
            ("X25519", self.dh),
            ("ML-KEM keygen", self.kem_keys),
            ("ML-KEM encaps", self.encapsulate),
            ("ML-KEM decaps", self.decapsulate),
            ("HMAC", len(self.hmac)),
            ("SHA-256", len(self.sha)),
            ("AES-GCM", len(self.seal) + len(self.unseal)),
        )


def total(*parts: tuple[int, Needs]) -> str:
    """The text of several needs, each with how often."""
    return "; ".join(f"{times} x ({needs.text()})" for times, needs in parts if times)


def bare(*parts: tuple[int, Needs]) -> Callable[[], Body]:
    """A maker of batches that do each of these so many times."""
    plan = [(times, _public_key(needs), _over_bytes(needs)) for times, needs in parts]

    def body() -> None:
        for times, public_key, over_bytes in plan:
            for _ in range(times):
                public_key()
                over_bytes()

    return lambda: body


def _public_key(needs: Needs) -> Body:
    calls: list[Body] = []
    for count, call in (
        (needs.sign, lambda: _SIGNING.sign(_SIGNED)),
        (needs.verify, lambda: _VERIFYING.verify(_SIGNATURE, _SIGNED)),
        (needs.signing_keys, _new_signing),
        (needs.dh_keys, _new_dh),
        (needs.dh, lambda: _DH.exchange(X25519PublicKey.from_public_bytes(_DH_PUBLIC))),
        (needs.kem_keys, _new_kem),
        (needs.encapsulate, lambda: MLKEM768PublicKey.from_public_bytes(_kem()[1]).encapsulate()),
        (needs.decapsulate, lambda: _kem()[0].decapsulate(_kem()[2])),
    ):
        calls += [call] * count

    def body() -> None:
        for call in calls:
            call()

    return body


def _over_bytes(needs: Needs) -> Body:
    hmacs = [bytes(size) for size in needs.hmac]
    hashed = [bytes(size) for size in needs.sha]
    plain = [bytes(size) for size in needs.seal]
    sealed = [AESGCM(_KEY).encrypt(_NONCE, bytes(size), None) for size in needs.unseal]

    def body() -> None:
        for message in hmacs:
            digest(_KEY, message, "sha256")
        for message in hashed:
            hashlib.sha256(message).digest()
        for message in plain:
            AESGCM(_KEY).encrypt(_NONCE, message, None)
        for message in sealed:
            AESGCM(_KEY).decrypt(_NONCE, message, None)

    return body


def _new_dh() -> object:
    return X25519PrivateKey.from_private_bytes(os.urandom(32)).public_key().public_bytes_raw()


def _new_signing() -> object:
    return Ed25519PrivateKey.from_private_bytes(os.urandom(32)).public_key().public_bytes_raw()


def _new_kem() -> object:
    return MLKEM768PrivateKey.from_seed_bytes(os.urandom(64)).public_key().public_bytes_raw()


@cache
def _kem() -> tuple[MLKEM768PrivateKey, bytes, bytes]:
    private = MLKEM768PrivateKey.from_seed_bytes(bytes(64))
    public = private.public_key()
    return private, public.public_bytes_raw(), public.encapsulate()[1]


class Rows:
    """A SQLite table in the mode a store has, for the same rows unsealed."""

    def __init__(self, place: Path) -> None:
        self._connection = sqlite3.connect(place, isolation_level=None)
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        self._connection.execute("CREATE TABLE rows (name BLOB PRIMARY KEY, value BLOB)")

    def commit(self, changes: Mapping[bytes, bytes | None]) -> None:
        """One transaction."""
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        for name, value in changes.items():
            if value is None:
                run("DELETE FROM rows WHERE name = ?", (name,))
            else:
                run("INSERT OR REPLACE INTO rows VALUES (?, ?)", (name, value))
        run("COMMIT")

    def __del__(self) -> None:
        self._connection.close()
