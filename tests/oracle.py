"""A second reader of the spec: its key schedules with nothing but hmac and hashlib.

Rules of this file:
- Written from the text of the spec, not from the library, and it imports none of it.
- Short and plain: it is right if a person can see that it says what the spec says.
- It has no AEAD and no curve: what needs those is compared up to the key or the signed message.

`vectors/test_oracle.py` compares it with the published vectors. Beside it stand `oracle_pairwise`
(chapters 05, 06) and `oracle_sessions` (07).
"""

import hashlib
import hmac
import struct

# --- spec 03.1: hashes and derivations ---------------------------------------------------------


def framed(label: str, parts: list[bytes]) -> bytes:
    text = b"groupcrypt/1 " + label.encode() + b"\x00"
    for part in parts:
        text += len(part).to_bytes(4, "big") + part
    return text


def number(value: int) -> bytes:
    return struct.pack(">Q", value)


def hmac_sha256(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def digest(label: str, *parts: bytes) -> bytes:
    return hashlib.sha256(framed(label, [*parts])).digest()


def mac(key: bytes, label: str, *parts: bytes) -> bytes:
    return hmac_sha256(key, framed(label, [*parts]))


def hkdf(salt: bytes, secret: bytes, label: str, parts: list[bytes], length: int) -> bytes:
    """RFC 5869: extract, then expand with the framed label and parts as info."""
    key, info = hmac_sha256(salt, secret), framed(label, parts)
    block, okm, counter = b"", b"", 1
    while len(okm) < length:
        block = hmac_sha256(key, block + info + bytes([counter]))
        okm, counter = okm + block, counter + 1
    return okm[:length]


def padded_length(length: int) -> int:
    """Padme with a floor of 256 (spec 03.4); `length` with the 4 bytes in front."""
    if length <= 256:
        return 256
    e = length.bit_length() - 1
    unit = 1 << (e - e.bit_length())
    return -(-length // unit) * unit


# --- spec 08.2: chains and carry ----------------------------------------------------------------


def step(chain_key: bytes) -> tuple[bytes, bytes]:
    """(chain_key_{i+1}, message_key_i)."""
    return hmac_sha256(chain_key, bytes([0x02])), hmac_sha256(chain_key, bytes([0x01]))


def chain_name(device: bytes, generation: int, random: bytes, signing: bytes) -> bytes:
    return digest("chain", device, number(generation), random, signing)[:8]


def carried(carry: bytes, salt: bytes, place: dict[str, bytes | int]) -> tuple[bytes, bytes]:
    """(chain_key_0, carry) in the epoch that `place` describes."""
    context = [
        part if isinstance(part, bytes) else number(part)
        for part in (place[n] for n in ("group", "epoch", "log_hash", "device", "generation"))
    ]
    okm = hkdf(salt, carry, "carry", context, 64)
    return okm[:32], okm[32:]


# --- spec 08.4: frames ----------------------------------------------------------------------------


def frame_key(header_secret: bytes, label: str, commit_tag: bytes) -> bytes:
    """`label` is "header key" or "extension key"."""
    return mac(header_secret, label, commit_tag)


def body_hash(frame: bytes) -> bytes:
    return digest("body", frame[1 + 32 + 130 : -16])


def membership_tag(membership_secret: bytes, frame: bytes) -> bytes:
    front = frame[: 1 + 32 + 130]
    return mac(membership_secret, "membership tag", front, body_hash(frame))[:16]


# --- spec 08.6: messages --------------------------------------------------------------------------


def message(
    place: tuple[bytes, int, bytes],
    header: bytes,
    message_key: bytes,
    items: list[tuple[bytes, bytes, bytes]],
) -> dict[str, bytes]:
    """`place` is (group, epoch, log_hash); an item is (opening key, logical id, content)."""
    position = digest("position", place[0], number(place[1]), place[2], header)
    commitments = [mac(key, "content commitment", one, content) for key, one, content in items]
    return {
        "position": position,
        "commitments": b"".join(commitments),
        "commit_tag": mac(position, "commit tag", b"".join(commitments)),
        "body_key": mac(message_key, "body key", position),
    }


def frame_hash(position: bytes, commit_tag: bytes, body: bytes) -> bytes:
    return digest("frame", position, commit_tag, body)


# --- spec 08.7: running heads ---------------------------------------------------------------------


def running_head(hashes: list[bytes]) -> bytes:
    head = bytes(32)
    for one in hashes:
        head = digest("running head", head, one)
    return head


def closing_head(previous_head: bytes, count: int, head: bytes) -> bytes:
    return digest("chain head", previous_head, number(count), head) if count else previous_head


# --- spec 10.3, 10.4: the key schedule of an epoch ------------------------------------------------

EPOCH_KEYS = ["salt", "init", "topic", "header", "control", "confirm", "membership"]
EPOCH_KEYS += ["exporter", "authenticator"]


def expand(key: bytes, label: str, *parts: bytes) -> bytes:
    """RFC 5869's second half, one block."""
    return hmac_sha256(key, framed(label, [*parts]) + b"\x01")


def epoch_keys(secret: bytes, place: tuple[bytes, bytes, bytes]) -> dict[str, bytes]:
    root = hmac_sha256(place[2], secret)  # group, number(epoch), log hash
    return {name: expand(root, "epoch " + name, *place) for name in EPOCH_KEYS}
