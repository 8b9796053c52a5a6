"""Argon2id of a passphrase (spec 16.3)."""

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from groupcrypt.protocol.primitives.derivation import framed


def stretch(passphrase: bytes, salt: bytes, *, memory_kib: int, passes: int, lanes: int) -> bytes:
    """Argon2id 1.3 of a passphrase, 32 bytes; its label is the associated data (spec 16.3)."""
    return Argon2id(
        salt=salt,
        length=32,
        iterations=passes,
        lanes=lanes,
        memory_cost=memory_kib,
        ad=framed("passphrase"),
    ).derive(passphrase)
