"""The one suite: X25519, Ed25519, ML-KEM-768, HKDF/HMAC-SHA256, AES-256-GCM, HPKE (spec 03).

Rules of this file:
- The only importer of `cryptography`. Every error it raises becomes one of ours.
- Every derivation, hash, MAC and signature has a label; its parts are length-prefixed (spec 03.1).
- Public keys have exactly one accepted encoding; small-order ones are refused (spec 03.2).
- Randomness is passed in as `Entropy`; nothing here draws its own.

It does not compose: what is bound to what is decided by the chapters that call it.
"""

import hashlib
import hmac
import struct
from functools import lru_cache
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from groupcrypt.errors import AuthenticationFailed, BadKey, MalformedFrame
from groupcrypt.protocol import limits

PREFIX: Final = b"groupcrypt/1 "
_LENGTH: Final = struct.Struct(">I").pack
ZERO32: Final = bytes(32)
NONCE0: Final = bytes(12)  # every AEAD key here is used once, so its nonce is constant (spec 03.4)
TAG_BYTES: Final = 16
KEM_PUBLIC_BYTES: Final = 1184
KEM_CIPHERTEXT_BYTES: Final = 1088


class Entropy(Protocol):
    """The source of randomness a step is given (spec 03.5)."""

    def __call__(self, size: int, /) -> bytes:
        """Return `size` fresh random bytes."""
        ...

    def encapsulate(self, public: bytes, /) -> tuple[bytes, bytes]:
        """Return (32-byte shared secret, 1088-byte ciphertext) for an ML-KEM-768 public key."""
        ...


def framed(label: str, *parts: bytes) -> bytes:
    """The unambiguous encoding of a label and its parts that all derivations use (spec 03.1)."""
    out = [_head(label)]
    for part in parts:
        out += (_LENGTH(len(part)), part)
    return b"".join(out)


@lru_cache(maxsize=512)  # of labels, which are constants
def _head(label: str) -> bytes:
    return PREFIX + label.encode("ascii") + b"\0"


def number(value: int) -> bytes:
    """A counter as 8 bytes big endian, for use as a part (spec 03.1)."""
    return value.to_bytes(8, "big")


def digest(label: str, *parts: bytes) -> bytes:
    """SHA-256 of the framed parts, 32 bytes (spec 03.1)."""
    return hashlib.sha256(framed(label, *parts)).digest()


def mac(key: bytes, label: str, *parts: bytes) -> bytes:
    """HMAC-SHA256 of the framed parts, 32 bytes (spec 03.1)."""
    return hmac.digest(key, framed(label, *parts), "sha256")


def extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract with SHA-256, 32 bytes (spec 03.1)."""
    return hmac.digest(salt, secret, "sha256")


def expand(key: bytes, label: str, *context: bytes, length: int = 32) -> bytes:
    """HKDF-Expand with SHA-256 and the framed label and context as info (spec 03.1)."""
    return _expand(key, framed(label, *context), length)


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    block = hmac.digest(key, info + b"\1", "sha256")
    if length <= 32:
        return block[:length]
    out = [block]
    for counter in range(2, (length + 31) // 32 + 1):
        block = hmac.digest(key, block + info + bytes((counter,)), "sha256")
        out.append(block)
    return b"".join(out)[:length]


def equal(left: bytes, right: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left, right)


# --- X25519 (spec 03.2) ---------------------------------------------------------------------

_P: Final = 2**255 - 19
# The canonical encodings of the points of order 1, 2, 4, 8 on the curve and its twist.
_DH_SMALL_ORDER: Final = frozenset(
    value.to_bytes(32, "little")
    for value in (
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        _P - 1,
    )
)


def check_dh_public(public: bytes) -> bytes:
    """Return `public` if it is a canonical X25519 key of large order, else raise `BadKey`."""
    if len(public) != 32 or int.from_bytes(public, "little") >= _P or public in _DH_SMALL_ORDER:
        raise BadKey("not a canonical X25519 public key")
    return public


class DhPrivate:
    """An X25519 private key with its public bytes. The pyca object is kept: loading costs 35 us."""

    __slots__ = ("_key", "public")

    def __init__(self, key: X25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        return cls(X25519PrivateKey.from_private_bytes(entropy(32)))

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        if len(raw) != 32:
            raise BadKey("an X25519 private key has 32 bytes")
        return cls(X25519PrivateKey.from_private_bytes(raw))

    def to_bytes(self) -> bytes:
        return self._key.private_bytes_raw()

    def exchange(self, public: bytes) -> bytes:
        """X25519; raises `BadKey` for an unacceptable public key (spec 03.2)."""
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(check_dh_public(public)))
        except ValueError as error:
            raise BadKey("the X25519 result is not contributory") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DhPrivate) and equal(self.to_bytes(), other.to_bytes())

    def __hash__(self) -> int:
        return hash(self.public)

    def __repr__(self) -> str:
        return "<DhPrivate>"


# --- Ed25519 (spec 03.2, 03.3) --------------------------------------------------------------

_D: Final = (-121665 * pow(121666, _P - 2, _P)) % _P
_SQRT_M1: Final = pow(2, (_P - 1) // 4, _P)
_SIGN_SMALL_ORDER: Final = frozenset(
    (y | sign << 255).to_bytes(32, "little")
    for sign in (0, 1)
    for y in (
        0,
        1,
        _P - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    )
)


def _on_curve(y: int) -> bool:
    u = (y * y - 1) % _P
    v = (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    return v * x * x % _P in (u, -u % _P)


@lru_cache(maxsize=8192)  # of public keys only: the curve equation costs 100 us
def check_signing_public(public: bytes) -> bytes:
    """Return `public` if it is an Ed25519 key we accept, else raise `BadKey` (spec 03.2).

    Refused: wrong length, y >= p, a point of small order, bytes that are no point at all.
    """
    y = int.from_bytes(public, "little") & (2**255 - 1)
    if len(public) != 32 or y >= _P or public in _SIGN_SMALL_ORDER or not _on_curve(y):
        raise BadKey("not an acceptable Ed25519 public key")
    return public


class SigningKey:
    """An Ed25519 private key with its public bytes."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        return cls(Ed25519PrivateKey.from_private_bytes(entropy(32)))

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        if len(raw) != 32:
            raise BadKey("an Ed25519 private key has 32 bytes")
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    def to_bytes(self) -> bytes:
        return self._key.private_bytes_raw()

    def sign(self, label: str, *parts: bytes) -> bytes:
        """Sign the SHA-256 of the framed parts; 64 bytes (spec 03.3)."""
        return self._key.sign(PREFIX + digest(label, *parts))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SigningKey) and equal(self.to_bytes(), other.to_bytes())

    def __hash__(self) -> int:
        return hash(self.public)

    def __repr__(self) -> str:
        return "<SigningKey>"


def verify(public: bytes, signature: bytes, label: str, *parts: bytes) -> None:
    """Check a signature made by `SigningKey.sign`; raises `AuthenticationFailed` (spec 03.3).

    The key must have passed `check_signing_public` when it was decoded.
    """
    _verify(public, signature, PREFIX + digest(label, *parts))


def _verify(public: bytes, signature: bytes, message: bytes) -> None:
    if public in _SIGN_SMALL_ORDER:
        raise BadKey("an Ed25519 public key of small order")
    if signature[:32] in _SIGN_SMALL_ORDER:  # non-canonical ones never equal the computed R
        raise AuthenticationFailed("a signature does not verify")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise AuthenticationFailed("a signature does not verify") from error


# --- ML-KEM-768 (spec 03.2) -----------------------------------------------------------------


class KemPrivate:
    """An ML-KEM-768 private key (kept as its 64-byte seed) with its public bytes."""

    __slots__ = ("_key", "public")

    def __init__(self, key: MLKEM768PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        return cls(MLKEM768PrivateKey.from_seed_bytes(entropy(64)))

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        if len(raw) != 64:
            raise BadKey("an ML-KEM-768 private key is a seed of 64 bytes")
        return cls(MLKEM768PrivateKey.from_seed_bytes(raw))

    def to_bytes(self) -> bytes:
        return self._key.private_bytes_raw()

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The shared secret; a forged ciphertext gives a random-looking one (FIPS 203, 7.3)."""
        if len(ciphertext) != KEM_CIPHERTEXT_BYTES:
            raise MalformedFrame("an ML-KEM-768 ciphertext has 1088 bytes")
        return self._key.decapsulate(ciphertext)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KemPrivate) and equal(self.to_bytes(), other.to_bytes())

    def __hash__(self) -> int:
        return hash(self.public)

    def __repr__(self) -> str:
        return "<KemPrivate>"


def kem_encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """(shared secret, ciphertext) with the system's randomness; used by `Entropy` sources only."""
    return _kem_public(public).encapsulate()


def check_kem_public(public: bytes) -> bytes:
    """Return `public` if it is a reduced ML-KEM-768 key, else raise `BadKey` (spec 03.2)."""
    _kem_public(public)
    return public


def _kem_public(public: bytes) -> MLKEM768PublicKey:
    try:
        return MLKEM768PublicKey.from_public_bytes(public)
    except ValueError as error:
        raise BadKey("not an ML-KEM-768 public key") from error


# --- AEAD and padding (spec 03.4) -----------------------------------------------------------


def seal(key: bytes, plaintext: bytes, ad: bytes, nonce: bytes = NONCE0) -> bytes:
    """AES-256-GCM; the ciphertext is 16 bytes longer. A key is used for one plaintext only."""
    assert len(key) == 32 and len(nonce) == 12  # local invariant, never input
    return AESGCM(key).encrypt(nonce, plaintext, ad)


def unseal(key: bytes, ciphertext: bytes, ad: bytes, nonce: bytes = NONCE0) -> bytes:
    """Undo `seal` or raise `AuthenticationFailed`."""
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, ad)
    except (InvalidTag, ValueError) as error:
        raise AuthenticationFailed("a ciphertext does not open") from error


def padded_length(length: int) -> int:
    """Padme with a floor: at most 12 % more, few distinct sizes (spec 03.4)."""
    if length <= limits.PADDING_FLOOR:
        return limits.PADDING_FLOOR
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def pad(plaintext: bytes) -> bytes:
    """4 bytes of length, the plaintext, zeros up to the padded length (spec 03.4)."""
    total = padded_length(len(plaintext) + 4)
    return (struct.pack(">I", len(plaintext)) + plaintext).ljust(total, b"\0")


def unpad(padded: bytes) -> bytes:
    """Undo `pad`; any other padding than the canonical one raises `MalformedFrame`."""
    if len(padded) < limits.PADDING_FLOOR:
        raise MalformedFrame("a padded plaintext is too short")
    length = int.from_bytes(padded[:4], "big")
    plaintext = padded[4 : 4 + length]
    if len(plaintext) != length or len(padded) != padded_length(length + 4):
        raise MalformedFrame("a padded plaintext has the wrong length")
    if padded.count(0, 4 + length) != len(padded) - 4 - length:
        raise MalformedFrame("a padding is not zero")
    return plaintext


# --- Passphrases (spec 16.3) -----------------------------------------------------------------


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


# --- HPKE base mode, RFC 9180: DHKEM(X25519), HKDF-SHA256, AES-256-GCM (spec 03.6) -----------

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
