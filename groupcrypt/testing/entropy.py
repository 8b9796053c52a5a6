"""Randomness that a seed decides, with an ML-KEM-768 encapsulation that it decides too (spec 03.5).

Rules of this file:
- The same seed and the same calls give the same bytes, on every machine and Python.
- A fork depends on the parent's seed and the name only, never on what was drawn before.
- ML-KEM is written from FIPS 203 because the system library draws its own randomness. It is not
  constant in time and never sees a private key.

It is not for real messages: whoever knows the seed knows every key.
"""

import hashlib
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
    """K-PKE.Encrypt (algorithm 14)."""
    noise = [_sample_noise(randomness, n) for n in range(2 * _K + 1)]
    secret = [_ntt(poly) for poly in noise[:_K]]
    matrix, t_hat = _expanded(public)
    out: list[bytes] = []
    for column in range(_K):
        product = _inverse_ntt(_dot([matrix[row][column] for row in range(_K)], secret))
        u = [a + b for a, b in zip(product, noise[_K + column], strict=True)]
        out.append(_pack([((c % _Q << 11) + _Q) // (2 * _Q) & 1023 for c in u], 10))
    bits = int.from_bytes(message, "little")
    product = _inverse_ntt(_dot(t_hat, secret))
    v = [
        product[n] + noise[2 * _K][n] + (1665 if bits >> n & 1 else 0)  # 1665 = round(q / 2)
        for n in range(256)
    ]
    out.append(_pack([((c % _Q << 5) + _Q) // (2 * _Q) & 15 for c in v], 4))
    return b"".join(out)


@lru_cache(maxsize=64)  # of public keys only; expanding one costs as much as all the rest
def _expanded(public: bytes) -> tuple[list[list[Poly]], list[Poly]]:
    """The matrix A and the vector t of a public key, both in the NTT domain."""
    rho = public[384 * _K :]
    matrix = [[_sample_ntt(rho + bytes((j, i))) for j in range(_K)] for i in range(_K)]
    return matrix, [_unpack_12(public[384 * i : 384 * i + 384]) for i in range(_K)]


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


def _ntt(poly: Poly) -> Poly:
    """Algorithm 9; reduced once at the end, since Python's integers do not overflow."""
    f = list(poly)
    step, length = 1, 128
    while length >= 2:
        for start in range(0, 256, 2 * length):
            zeta = _ZETAS[step]
            step += 1
            for j in range(start, start + length):
                t = zeta * f[j + length] % _Q
                f[j + length] = f[j] - t
                f[j] += t
        length //= 2
    return [c % _Q for c in f]


def _inverse_ntt(poly: Poly) -> Poly:
    """Algorithm 10."""
    f = list(poly)
    step, length = 127, 2
    while length <= 128:
        for start in range(0, 256, 2 * length):
            zeta = _ZETAS[step]
            step -= 1
            for j in range(start, start + length):
                t = f[j]
                f[j] = t + f[j + length]
                f[j + length] = zeta * (f[j + length] - t) % _Q
        length *= 2
    return [c * _INVERSE_128 % _Q for c in f]


def _dot(left: list[Poly], right: list[Poly]) -> Poly:
    """Sum of the products of two vectors in the NTT domain (algorithms 11 and 12)."""
    out = [0] * 256
    for f, g in zip(left, right, strict=True):
        for n, gamma in enumerate(_GAMMAS):
            i = 2 * n
            a0, a1, b0, b1 = f[i], f[i + 1], g[i], g[i + 1]
            out[i] += a0 * b0 + a1 * b1 % _Q * gamma
            out[i + 1] += a0 * b1 + a1 * b0
    return [c % _Q for c in out]


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
_GAMMAS: Final = tuple(pow(17, 2 * _reversed_bits(n) + 1, _Q) for n in range(128))
_NOISE: Final = tuple(
    tuple(
        (nibble & 1) + (nibble >> 1 & 1) - (nibble >> 2 & 1) - (nibble >> 3 & 1)
        for nibble in (byte & 15, byte >> 4)
    )
    for byte in range(256)
)
