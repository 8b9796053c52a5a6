"""HPKE base mode, RFC 9180: DHKEM(X25519), HKDF-SHA256, AES-256-GCM (spec 03.6).

Rules of this file:
- One key seals one plaintext to one public key; nothing is streamed.
"""

import hmac
import struct
from functools import lru_cache
from typing import Final

from groupcrypt.errors import MalformedFrame
from groupcrypt.protocol.primitives.agreement import DhPrivate
from groupcrypt.protocol.primitives.entropy import Entropy
from groupcrypt.protocol.primitives.sealing import TAG_BYTES, seal, unseal

_KEM_SUITE: Final = b"KEM\x00\x20"
_HPKE_SUITE: Final = b"HPKE\x00\x20\x00\x01\x00\x02"


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + secret, "sha256")


def _labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    text = struct.pack(">H", length) + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, text + b"\1", "sha256")[:length]


def _hpke_key(shared: bytes, enc: bytes, public: bytes, info: bytes) -> tuple[bytes, bytes]:
    eae = _labeled_extract(_KEM_SUITE, b"", b"eae_prk", shared)
    secret = _labeled_expand(_KEM_SUITE, eae, b"shared_secret", enc + public, 32)
    context = _hpke_context(info)
    prk = _labeled_extract(_HPKE_SUITE, secret, b"secret", b"")
    key = _labeled_expand(_HPKE_SUITE, prk, b"key", context, 32)
    return key, _labeled_expand(_HPKE_SUITE, prk, b"base_nonce", context, 12)


@lru_cache(maxsize=16)  # of `info`s, which are constants
def _hpke_context(info: bytes) -> bytes:
    psk_hash = _labeled_extract(_HPKE_SUITE, b"", b"psk_id_hash", b"")
    return b"\0" + psk_hash + _labeled_extract(_HPKE_SUITE, b"", b"info_hash", info)


def hpke_seal(public: bytes, info: bytes, ad: bytes, plaintext: bytes, entropy: Entropy) -> bytes:
    """RFC 9180 single-shot base mode: 32 bytes of `enc`, then the ciphertext (spec 03.6)."""
    ephemeral = DhPrivate.generate(entropy)
    shared = ephemeral.exchange(public)
    key, nonce = _hpke_key(shared, ephemeral.public, public, info)
    return ephemeral.public + seal(key, plaintext, ad, nonce)


def hpke_open(private: DhPrivate, info: bytes, ad: bytes, sealed: bytes) -> bytes:
    """Undo `hpke_seal`; raises `MalformedFrame`, `BadKey` or `AuthenticationFailed`."""
    if len(sealed) < 32 + TAG_BYTES:
        raise MalformedFrame("an HPKE ciphertext is too short")
    enc = sealed[:32]
    key, nonce = _hpke_key(private.exchange(enc), enc, private.public, info)
    return unseal(key, sealed[32:], ad, nonce)
