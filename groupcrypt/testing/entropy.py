"""Randomness that a seed decides, with an ML-KEM-768 encapsulation that it decides too (spec 03.5).

Rules of this file:
- The same seed and the same calls give the same bytes, on every machine and Python.
- A fork depends on the parent's seed and the name only, never on what was drawn before.
- ML-KEM is written from FIPS 203 because the system library draws its own randomness. It is not
  constant in time and never sees a private key.

It is not for real messages: whoever knows the seed knows every key.
"""

import hashlib
import sys
from array import array
from functools import lru_cache
from typing import Final

from groupcrypt.protocol import primitives

Poly = list[int]  # 256 coefficients from 0 to _Q - 1

_Q: Final = 3329  # FIPS 203, section 8: n = 256, q = 3329, k = 3, eta1 = eta2 = 2, du = 10, dv = 4
_K: Final = 3
_INVERSE_128: Final = 3303  # 128^-1 mod q


class SeededEntropy:
    """An `Entropy` for tests: call number `n` returns SHAKE-256 of (key of the seed, n)."""

    __slots__ = ("_calls", "_key")

    def __init__(self, seed: int | bytes) -> None:
        named = b"int %d" % seed if isinstance(seed, int) else b"bytes " + seed
        self._key = hashlib.sha256(b"groupcrypt/testing entropy\0" + named).digest()
        self._calls = 0

    def __call__(self, size: int, /) -> bytes:
        """Return the next `size` bytes."""
        self._calls += 1
        return hashlib.shake_256(self._key + self._calls.to_bytes(8, "big")).digest(size)

    def encapsulate(self, public: bytes, /) -> tuple[bytes, bytes]:
        """Return (32-byte secret, 1088-byte ciphertext) made with the next 32 bytes.

        Raises `BadKey` for what is not a reduced ML-KEM-768 public key, as the real one does.
        """
        return _encapsulate(primitives.check_kem_public(public), self(32))

    def fork(self, name: str) -> "SeededEntropy":
        """An independent source for one actor or purpose; this one is not advanced."""
        return SeededEntropy(self._key + b"\0fork\0" + name.encode())

    def __repr__(self) -> str:
        return f"<SeededEntropy after {self._calls} calls>"


# --- ML-KEM.Encaps_internal (FIPS 203, algorithm 17) ------------------------------------------


def _encapsulate(public: bytes, message: bytes) -> tuple[bytes, bytes]:
    mixed = hashlib.sha3_512(message + hashlib.sha3_256(public).digest()).digest()
    return mixed[:32], _encrypt(public, message, mixed[32:])


def _encrypt(public: bytes, message: bytes, randomness: bytes) -> bytes:
    """K-PKE.Encrypt (algorithm 14), with products of polynomials as products of integers."""
    noise = [_sample_noise(randomness, n) for n in range(2 * _K + 1)]
    # Coefficients from -2 to 2 become 0 to 4, so that nothing is negative; `shifts` makes it good.
    secret = [_joined([c + 2 for c in poly]) for poly in noise[:_K]]
    columns, shifts = _expanded(public)
    sums = [
        _folded(sum(a * y for a, y in zip(column, secret, strict=True)), shift)
        for column, shift in zip(columns, shifts, strict=True)
    ]
    out: list[bytes] = []
    for column in range(_K):
        u = [a + b for a, b in zip(sums[column], noise[_K + column], strict=True)]
        out.append(_pack([((c % _Q << 11) + _Q) // (2 * _Q) & 1023 for c in u], 10))
    bits = int.from_bytes(message, "little")
    v = [
        sums[_K][n] + noise[2 * _K][n] + (1665 if bits >> n & 1 else 0)  # 1665 = round(q / 2)
        for n in range(256)
    ]
    out.append(_pack([((c % _Q << 5) + _Q) // (2 * _Q) & 15 for c in v], 4))
    return b"".join(out)


@lru_cache(maxsize=256)  # of public keys only; expanding one costs more than all the rest
def _expanded(public: bytes) -> tuple[list[list[int]], list[Poly]]:
    """The columns of A, and t, as integers; and for each twice its product with all ones."""
    rho = public[384 * _K :]
    hats = [_sample_ntt(rho + bytes((j, i))) for j in range(_K) for i in range(_K)]
    hats += [_unpack_12(public[384 * i : 384 * i + 384]) for i in range(_K)]
    polys = _inverse_ntts(hats)
    joined = [_joined(poly) for poly in polys]
    columns = [joined[at : at + _K] for at in range(0, len(joined), _K)]
    twos = _joined([2] * 256)
    return columns, [_folded(sum(a * twos for a in each), [0] * 256) for each in columns]


def _joined(poly: Poly) -> int:
    """The polynomial at 2^32: products of such integers are products of polynomials."""
    return int.from_bytes(array("I", poly).tobytes(), sys.byteorder)


def _folded(product: int, shift: Poly) -> Poly:
    """The coefficients modulo x^256 + 1, less those of `shift`."""
    found = array("I", product.to_bytes(4 * 512, sys.byteorder))
    if sys.byteorder == "big":
        found.reverse()
    return [a - b - c for a, b, c in zip(found[:256], found[256:], shift, strict=True)]


def _sample_ntt(seed: bytes) -> Poly:
    """Uniform coefficients by rejection (algorithm 7)."""
    size = 168 * 4
    while True:
        # A longer output of SHAKE starts with the shorter one, so asking again is the same stream.
        stream = hashlib.shake_128(seed).digest(size)
        kept = [c for c in _unpack_12(stream) if c < _Q]
        if len(kept) >= 256:
            return kept[:256]
        size += 168


def _sample_noise(randomness: bytes, counter: int) -> Poly:
    """The centred binomial distribution with eta = 2 (algorithm 8)."""
    stream = hashlib.shake_256(randomness + bytes((counter,))).digest(128)
    return [c for byte in stream for c in _NOISE[byte]]


def _inverse_ntts(polys: list[Poly]) -> list[Poly]:
    """Algorithm 10 for several at once: coefficient j of all of them is one integer.

    A lane has 128 bits and is reduced once at the end: seven layers make it 2^101 at most. Lanes
    may be negative meanwhile, since all steps are linear.
    """
    f = [
        sum(c << 128 * lane for lane, c in enumerate(several))
        for several in zip(*polys, strict=True)
    ]
    step, length = 127, 2
    while length <= 128:
        for start in range(0, 256, 2 * length):
            zeta = _ZETAS[step]
            step -= 1
            for j in range(start, start + length):
                t = f[j]
                f[j] = t + f[j + length]
                f[j + length] = zeta * (f[j + length] - t)
        length *= 2
    half = 1 << 127
    biased = sum(half << 128 * lane for lane in range(len(polys)))
    size = 16 * len(polys)
    rows = [(each + biased).to_bytes(size, "little") for each in f]
    return [
        [(int.from_bytes(row[at : at + 16], "little") - half) * _INVERSE_128 % _Q for row in rows]
        for at in range(0, size, 16)
    ]


def _unpack_12(data: bytes) -> list[int]:
    out: list[int] = []
    for a, b, c in zip(data[::3], data[1::3], data[2::3], strict=True):
        out += (a | (b & 15) << 8, b >> 4 | c << 4)
    return out


def _pack(values: list[int], bits: int) -> bytes:
    """ByteEncode (algorithm 5): each value in `bits` bits, least significant first."""
    joined = 0
    for value in reversed(values):
        joined = joined << bits | value
    return joined.to_bytes(32 * bits, "little")


def _reversed_bits(n: int) -> int:
    return int(f"{n:07b}"[::-1], 2)


_ZETAS: Final = tuple(pow(17, _reversed_bits(n), _Q) for n in range(128))
_NOISE: Final = tuple(
    tuple(
        (nibble & 1) + (nibble >> 1 & 1) - (nibble >> 2 & 1) - (nibble >> 3 & 1)
        for nibble in (byte & 15, byte >> 4)
    )
    for byte in range(256)
)
