"""ML-KEM-768 encapsulation with randomness of the caller's choice (spec 03.5).

Rules of this file:
- Written from FIPS 203, because the system library draws its own randomness. Section and algorithm
  numbers are of that standard.
- Many coefficients at once: they are lanes of long integers, one beside the other, and Python's own
  arithmetic on those does the work. Lanes may be negative meanwhile; what reads them adds a bias.
- Not constant in time; it never sees a private key.

It is for tests: what it makes, the system library opens.
"""

import hashlib
import sys
from array import array
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from typing import Final

Poly = list[int]  # 256 coefficients from 0 to _Q - 1

_Q: Final = 3329  # section 8: n = 256, q = 3329, k = 3, eta1 = eta2 = 2, du = 10, dv = 4
_K: Final = 3
_INVERSE_128: Final = 3303  # 128^-1 mod q


def encapsulate(public: bytes, message: bytes) -> tuple[bytes, bytes]:
    """(secret, ciphertext) for a reduced public key and 32 random bytes (algorithm 17)."""
    mixed = hashlib.sha3_512(message + hashlib.sha3_256(public).digest()).digest()
    return mixed[:32], _encrypt(public, message, mixed[32:])


def _encrypt(public: bytes, message: bytes, randomness: bytes) -> bytes:
    """K-PKE.Encrypt (algorithm 14), with products of polynomials as products of integers."""
    noise = [_sample_noise(randomness, n) for n in range(2 * _K + 1)]
    secret = [_joined(each) for each in noise[:_K]]
    columns, shifts = _expanded(public)
    sums: list[Poly] = []
    for column, shift, error in zip(columns, shifts, noise[_K:], strict=True):
        low, high = _halves(sum(a * y for a, y in zip(column, secret, strict=True)))
        lanes = zip(low, high, shift, error, strict=True)
        sums.append([a - b + c + e for a, b, c, e in lanes])
    *u, v = sums
    said = zip(v, _bits(message), strict=True)
    packed = [_pack_10([_TO_10[c % _Q] for c in each]) for each in u]
    return b"".join(packed) + _pack_4([_TO_4[(c + m) % _Q] for c, m in said])


@lru_cache(maxsize=256)  # of public keys only; expanding one costs more than all the rest
def _expanded(public: bytes) -> tuple[list[list[int]], list[Poly]]:
    """The columns of A, and t, as integers; and what makes good that noise is never negative."""
    rho = public[384 * _K :]
    hats = [_sample_ntt(rho + bytes((j, i))) for j in range(_K) for i in range(_K)]
    hats += [_unpack_12(public[384 * i : 384 * i + 384]) for i in range(_K)]
    polys = _inverse_ntts(hats)
    columns = [polys[at : at + _K] for at in range(0, len(polys), _K)]
    return [[_joined(poly) for poly in each] for each in columns], [_shift(*c) for c in columns]


def _shift(*column: Poly) -> list[int]:
    """Less twice the product with all ones, and less two: for the noise it is added to."""
    sums = list(accumulate(map(sum, zip(*column, strict=True))))
    return [2 * sums[-1] - 4 * each - 2 for each in sums]


# --- sampling ---------------------------------------------------------------------------------


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


def _sample_noise(randomness: bytes, counter: int) -> bytes:
    """The centred binomial distribution with eta = 2 (algorithm 8), plus 2: from 0 to 4."""
    stream = hashlib.shake_256(randomness + bytes((counter,))).digest(128)
    out = bytearray(256)
    out[::2], out[1::2] = stream.translate(_NOISE_LOW), stream.translate(_NOISE_HIGH)
    return bytes(out)


# --- the inverse of the number-theoretic transform --------------------------------------------

_LANE: Final = 8  # bytes
_LAYERS: Final = 7


def _inverse_ntts(polys: list[Poly]) -> list[Poly]:
    """Algorithm 10 for several polynomials at once, whose coefficients alternate.

    A layer makes lanes 2^13 times as great at most: after four they still fit, and are reduced.
    """
    width = len(polys)
    lanes = array("Q", bytes(_LANE * 256 * width))
    for place, poly in enumerate(polys):
        lanes[place::width] = array("Q", poly)
    lanes = _layers(lanes, range(4), width)
    done = _layers(lanes, range(4, _LAYERS), width, _INVERSE_128).tolist()
    return [done[place::width] for place in range(width)]


def _layers(lanes: "array[int]", layers: range, width: int, scale: int = 1) -> "array[int]":
    """Some layers of butterflies, each on all lanes of two neighbours; reduced at the end."""
    raw, size = _little(lanes), (2 << layers.start) * _LANE * width
    blocks = [int.from_bytes(raw[at : at + size], "little") for at in range(0, len(raw), size)]
    for layer in layers:
        zetas = _ZETAS[(128 >> layer) - 1 : (64 >> layer) - 1 : -1]
        pairs = zip(blocks[::2], blocks[1::2], zetas, strict=True)
        blocks = [a + b + ((b - a) * zeta << 8 * size) for a, b, zeta in pairs]
        size *= 2
    bias = int.from_bytes(_BIAS.to_bytes(_LANE, "little") * (size // _LANE), "little")
    raw = b"".join([(block * scale + bias).to_bytes(size, "little") for block in blocks])
    return array("Q", [c % _Q for c in _little_array("Q", raw)])


# --- integers and lanes -----------------------------------------------------------------------


def _joined(poly: Iterable[int]) -> int:
    """The polynomial at 2^24: sums of products of such integers are those of polynomials."""
    wide = _little(array("I", list(poly)))
    raw = bytearray(3 * 256)
    raw[::3], raw[1::3] = wide[::4], wide[1::4]
    return int.from_bytes(raw, "little")


def _halves(product: int) -> tuple["array[int]", "array[int]"]:
    """The lower and the upper 256 coefficients; modulo x^256 + 1 one is taken from the other."""
    raw, wide = product.to_bytes(3 * 512, "little"), bytearray(4 * 512)
    wide[::4], wide[1::4], wide[2::4] = raw[::3], raw[1::3], raw[2::3]
    found = _little_array("I", wide)
    return found[:256], found[256:]


def _little(lanes: "array[int]") -> bytes:
    """Lanes as bytes, least significant first."""
    return lanes.tobytes() if sys.byteorder == "little" else _swapped(lanes).tobytes()


def _little_array(code: str, raw: bytes | bytearray) -> "array[int]":
    """Undo `_little`."""
    lanes = array(code, raw)
    return lanes if sys.byteorder == "little" else _swapped(lanes)


def _swapped(lanes: "array[int]") -> "array[int]":
    other = lanes[:]
    other.byteswap()
    return other


# --- bytes ------------------------------------------------------------------------------------


def _unpack_12(data: bytes) -> list[int]:
    """ByteDecode (algorithm 6): of three bytes, two values."""
    wide = bytearray(len(data) // 3 * 4)
    wide[::4], wide[1::4], wide[2::4], wide[3::4] = data[::3], data[1::3], data[1::3], data[2::3]
    both = int.from_bytes(wide, "little")
    lows = int.from_bytes(b"\xff\x0f\0\0" * (len(wide) // 4), "little")
    joined = both & lows | (both >> 4) & lows << 16
    return _little_array("H", joined.to_bytes(len(wide), "little")).tolist()


def _pack_10(values: list[int]) -> bytes:
    """ByteEncode (algorithm 5) of ten bits each: of four values, five bytes."""
    fours = zip(values[::4], values[1::4], values[2::4], values[3::4], strict=True)
    return b"".join(
        [(a | b << 10 | c << 20 | d << 30).to_bytes(5, "little") for a, b, c, d in fours]
    )


def _pack_4(values: list[int]) -> bytes:
    return bytes([a | b << 4 for a, b in zip(values[::2], values[1::2], strict=True)])


def _bits(message: bytes) -> list[int]:
    """Each bit of a message as its coefficient: round(q / 2) for one."""
    return [1665 if byte >> n & 1 else 0 for byte in message for n in range(8)]


def _reversed_bits(n: int) -> int:
    return int(f"{n:07b}"[::-1], 2)


def _noise_of(nibble: int) -> int:
    return 2 + (nibble & 3).bit_count() - (nibble >> 2).bit_count()


_ZETAS: Final = tuple(pow(17, _reversed_bits(n), _Q) for n in range(128))
_BIAS: Final = (1 << 63) // _Q * _Q  # makes no lane negative and changes none modulo q
_NOISE_LOW: Final = bytes(_noise_of(byte & 15) for byte in range(256))
_NOISE_HIGH: Final = bytes(_noise_of(byte >> 4) for byte in range(256))
# Compress (section 4.2.1) to ten and to four bits.
_TO_10: Final = tuple(((c << 11) + _Q) // (2 * _Q) & 1023 for c in range(_Q))
_TO_4: Final = tuple(((c << 5) + _Q) // (2 * _Q) & 15 for c in range(_Q))
