"""The published vectors agree with a second reader of the spec that shares no code with us."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupcrypt.protocol import primitives, sender_key
from groupcrypt.testing import vectors
from tests import oracle

FOLDER = Path(__file__).parents[2] / "spec" / "vectors"


def chapter(name: str) -> dict[str, dict[str, Any]]:
    """The good vectors of a chapter, by name."""
    return {one["name"]: one for one in vectors.load(FOLDER / f"{name}.json")}


def raw(fields: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(fields[name]) for name in names]


SENDER_KEYS = chapter("08-sender-keys")
SEALED = [one for one in SENDER_KEYS.values() if "seal_random" in one["given"]]


def test_steps_of_a_chain() -> None:
    vector = SENDER_KEYS["four steps of a chain"]
    chain_key = bytes.fromhex(vector["given"]["chain_key"])
    for following, message in zip(
        vector["then"]["chain_keys"], vector["then"]["message_keys"], strict=True
    ):
        chain_key, message_key = oracle.step(chain_key)
        assert (chain_key.hex(), message_key.hex()) == (following, message)


def test_the_name_and_the_secrets_of_a_fresh_chain() -> None:
    vector = SENDER_KEYS["a fresh chain and its distribution"]
    made = vector["given"]["new_chain"]
    device, random = raw(made, "device", "random")
    signing = primitives.SigningKey.from_bytes(random[64:]).public
    name = oracle.chain_name(device, made["generation"], random[:64], signing)
    assert name.hex() == vector["then"]["name"]
    distribution = bytes.fromhex(vector["then"]["distribution"])
    assert random[:32] in distribution
    assert random[32:64] in distribution


def test_every_carry() -> None:
    """From the first distribution and the salts alone to the keys of the last epoch."""
    carried = [one for one in SENDER_KEYS.values() if len(one["given"].get("epochs", [])) > 1]
    assert carried
    for vector in carried:
        first, *later = vector["given"]["epochs"]
        start = sender_key.read_distribution(bytes.fromhex(vector["given"]["distribution"]))
        place = {"device": start.device, "generation": start.generation}
        assert first["salt"] is None
        chain_key, carry = start.chain_key, start.carry
        for epoch in later:
            group, log_hash, salt = raw(epoch, "group", "log_hash", "salt")
            here = {**place, "group": group, "epoch": epoch["epoch"], "log_hash": log_hash}
            chain_key, carry = oracle.carried(carry, salt, here)
        for _ in range(vector["then"]["next_iteration"]):
            chain_key, _unused = oracle.step(chain_key)
        assert chain_key.hex() == vector["then"]["chain_key"]
        assert carry.hex() == vector["then"]["carry"]


def test_every_key_of_a_sealed_message() -> None:
    assert len(SEALED) >= 3
    for vector in SEALED:
        given_, then = vector["given"], vector["then"]
        group, log_hash = raw(given_, "group", "log_hash")
        header_secret, membership_secret = raw(given_, "header_secret", "membership_secret")
        header, frame = raw(then, "header", "frame")
        made, random = bytes.fromhex(given_["new_chain"]["random"]), given_["seal_random"]
        openings = bytes.fromhex(random)[16:]
        items = [
            (
                openings[32 * at : 32 * at + 32],
                bytes.fromhex(one["id"]),
                bytes.fromhex(one["content"]),
            )
            for at, one in enumerate(given_["contents"])
        ]
        _, message_key = oracle.step(made[:32])
        assert message_key.hex() == then["message_key"]
        found = oracle.message((group, given_["epoch"], log_hash), header, message_key, items)
        assert found["position"].hex() == then["position"]
        assert found["commitments"].hex() == "".join(then["commitments"])
        assert found["commit_tag"] == frame[1:33] == bytes.fromhex(then["commit_tag"])
        assert found["body_key"].hex() == then["body_key"]
        body = oracle.body_hash(frame)
        hashed = oracle.frame_hash(found["position"], found["commit_tag"], body)
        assert (body.hex(), hashed.hex()) == (then["body_hash"], then["hash"])
        assert frame[-16:] == oracle.membership_tag(membership_secret, frame)
        assert_opens(found, frame, header_secret, header + bytes.fromhex(then["signature"]), items)


def assert_opens(
    found: dict[str, bytes],
    frame: bytes,
    header_secret: bytes,
    head: bytes,
    items: list[tuple[bytes, bytes, bytes]],
) -> None:
    """With the oracle's keys and a bare AEAD the frame opens to what was sealed."""
    head_key = oracle.frame_key(header_secret, "header key", found["commit_tag"])
    assert primitives.unseal(head_key, frame[33:163], b"") == head
    # Iteration 0: the count and head of the chain before ride in front, 40 bytes and a tag.
    extension_key = oracle.frame_key(header_secret, "extension key", found["commit_tag"])
    assert primitives.unseal(extension_key, frame[163:219], b"") == bytes(40)
    padded = primitives.unseal(found["body_key"], frame[219:-16], found["commit_tag"])
    bundle = b"".join(
        key + one + len(content).to_bytes(4, "big") + content for key, one, content in items
    )
    assert len(padded) + 56 == oracle.padded_length(4 + 56 + len(bundle))
    assert padded == ((len(bundle) + 56).to_bytes(4, "big") + bundle).ljust(len(padded), b"\0")


GROUPS = chapter("10-groups")


@pytest.mark.spec("10.3-1")
def test_the_keys_of_an_epoch() -> None:
    schedules = [one for one in GROUPS.values() if "secret" in one["given"]]
    assert len(schedules) == 3
    for vector in schedules:
        secret, group, log_hash = raw(vector["given"], "secret", "group", "log_hash")
        epoch = oracle.number(vector["given"]["epoch"])
        found = oracle.epoch_keys(secret, (group, epoch, log_hash))
        for way in ("write", "read"):
            token = oracle.expand(found["topic"], f"topic {way}", oracle.number(0))
            found[f"{way}_token"] = token
        assert {name: key.hex() for name, key in found.items()} == vector["then"]


@pytest.mark.spec("10.3-1")
def test_the_derived_secret_of_an_epoch() -> None:
    (vector,) = [one for one in GROUPS.values() if "init" in one["given"]]
    init, body = raw(vector["given"], "init", "body")
    commitless = body.replace(b"c" * 32, bytes(32))
    secret = oracle.expand(init, "epoch derived", commitless)
    commit = oracle.mac(secret, "entry commit", b"g" * 32, oracle.number(8))
    assert (secret.hex(), commit.hex()) == (vector["then"]["secret"], vector["then"]["commit"])


def test_ranks() -> None:
    (vector,) = [one for one in GROUPS.values() if "devices" in one["given"]]
    (log_hash,) = raw(vector["given"], "rank_log_hash")
    mixed = [
        oracle.digest("confirm rank", log_hash, bytes.fromhex(one))
        for one in vector["given"]["devices"]
    ]
    assert [sorted(mixed).index(one) for one in mixed] == vector["then"]["ranks"]


def test_running_heads() -> None:
    vector = SENDER_KEYS["a running head over three frames, and the closing"]
    given_, then = vector["given"], vector["then"]
    hashes = [bytes.fromhex(one) for one in given_["hashes"]]
    head = oracle.running_head(hashes)
    previous = bytes.fromhex(given_["previous_head"])
    assert head.hex() == then["head"]
    assert oracle.closing_head(previous, len(hashes), head).hex() == then["closing_head"]


@given(
    st.text(st.characters(max_codepoint=126, min_codepoint=1), max_size=20),
    st.lists(st.binary(max_size=40), max_size=4),
    st.binary(min_size=32, max_size=32),
    st.integers(1, 200),
)
def test_hashes_and_derivations(label: str, parts: list[bytes], key: bytes, length: int) -> None:
    assert oracle.digest(label, *parts) == primitives.digest(label, *parts)
    assert oracle.mac(key, label, *parts) == primitives.mac(key, label, *parts)
    expanded = primitives.expand(primitives.extract(b"s", key), label, *parts, length=length)
    assert oracle.hkdf(b"s", key, label, parts, length) == expanded


@given(st.integers(4, 2**20))
def test_padded_lengths(length: int) -> None:
    assert oracle.padded_length(length) == primitives.padded_length(length)
