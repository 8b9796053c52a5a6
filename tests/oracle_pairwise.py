"""A second reader of the spec, chapters 05 and 06: from shared secrets to keys, with hmac alone.

Rules of this file:
- As `oracle.py`: from the text of the spec, importing none of the library, plain.
- It has no curve, KEM or AEAD: what they give goes in, the keys that come of it go out.

`tests/vectors/test_oracle_pairwise.py` compares it with the published vectors.
"""

from tests.oracle import digest, expand, framed, hkdf, hmac_sha256, mac, number

# --- spec 05.3: the agreement --------------------------------------------


def handshake(secrets: list[bytes], named: list[bytes]) -> tuple[bytes, bytes]:
    """(root, channel id).

    `secrets` are dh1, dh2, dh3, dh4, ss and r; `named` the hello, the certificate of b, SPKb, LRKb,
    OPKb and OKKb; what there is not is empty.
    """
    transcript = digest("handshake", *named)
    key = hmac_sha256(bytes(32), framed("handshake secrets", secrets))
    return expand(key, "handshake root", transcript), transcript[:8]


def resumption_name(secret: bytes) -> bytes:
    """Spec 05.6."""
    return digest("resumption name", secret)[:8]


# --- spec 06.2: steps --------------------------------------------


def step(root: bytes, dh: bytes, kem: bytes, index: int) -> tuple[bytes, bytes, bytes]:
    """(root, chain key, resumption) of step `index`; `kem` is empty if it mixes none in."""
    secrets = framed("ratchet secrets", [dh, kem])
    okm = hkdf(root, secrets, "ratchet step", [number(index)], 96)
    return okm[:32], okm[32:64], okm[64:]


# --- spec 06.3: chains and message keys --------------------------------------------


def aead_key(chain_key: bytes, index: int, guard: bytes) -> bytes:
    """Of message `index` of the chain that begins with this key."""
    for _ in range(index):
        chain_key = mac(chain_key, "pairwise chain")
    return mac(mac(chain_key, "pairwise message"), "pairwise key", guard)


def associated_data(channel: bytes, header: bytes) -> bytes:
    """Spec 06.4; `channel` is what 07.2 binds."""
    return framed("pairwise header", [channel, header])
