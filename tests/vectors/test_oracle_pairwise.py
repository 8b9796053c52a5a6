"""The key schedules of chapters 05 and 06 agree with a second reader that shares no code with us.

Curve, KEM and AEAD are the library's: the oracle is given what they yield, and its keys must open.
"""

from pathlib import Path
from typing import Any

import pytest

from groupcrypt.protocol import primitives, wire
from groupcrypt.protocol.handshake.agreement import Hello
from groupcrypt.protocol.identity import DeviceCertificate
from groupcrypt.protocol.primitives import DhPrivate, KemPrivate
from groupcrypt.protocol.ratchet.state import Header
from groupcrypt.testing import vectors
from tests import oracle_pairwise as oracle

FOLDER = Path(__file__).parents[2] / "spec" / "vectors"
STARTS = [
    one for one in vectors.load(FOLDER / "05-handshake.json") if one["given"].get("kind") == "start"
]
TALKS = vectors.load(FOLDER / "06-ratchet.json")


def private(text: str | None) -> DhPrivate | None:
    return None if text is None else DhPrivate.from_bytes(bytes.fromhex(text))


def kem(text: str | None) -> KemPrivate | None:
    return None if text is None else KemPrivate.from_bytes(bytes.fromhex(text))


@pytest.mark.parametrize("vector", STARTS, ids=lambda one: one["name"])
def test_the_root_of_a_start(vector: dict[str, Any]) -> None:
    given = vector["given"]
    raw = bytes.fromhex(given["hello"])
    hello = wire.decode(Hello, raw)
    certificate = bytes.fromhex(given["certificate"])
    assert wire.decode(DeviceCertificate, certificate)
    x, signed = private(given["dh"]), private(given["signed_dh"])
    last = kem(given["last_resort_seed"])
    assert x is not None
    assert signed is not None
    assert last is not None
    named_one_time = hello.one_time_id is not None
    one_time = private(given["one_time_dh"]) if named_one_time else None
    one_time_kem = kem(given["one_time_seed"]) if named_one_time else None
    resumed = bytes.fromhex(given["resumption"] or "")
    secrets = [
        signed.exchange(hello.certificate.dh),
        x.exchange(hello.base),
        signed.exchange(hello.base),
        one_time.exchange(hello.base) if one_time else b"",
        (one_time_kem or last).decapsulate(hello.kem_ciphertext),
        resumed,
    ]
    keys = [
        signed.public,
        last.public,
        one_time.public if one_time else b"",
        one_time_kem.public if one_time_kem else b"",
    ]
    root, channel = oracle.handshake(secrets, [raw, certificate, *keys])
    assert (root.hex(), channel.hex()) == (vector["then"]["root"], vector["then"]["channel"])
    if resumed:
        assert hello.resumed == oracle.resumption_name(resumed)


class Talk:
    """One side of a conversation, by the oracle's keys: the responder, whose keys are known."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.root = self.resumption = bytes.fromhex(given["root"])
        self.channel = bytes.fromhex(given["ad"])
        self.own = DhPrivate.from_bytes(bytes.fromhex(given["signed_prekey"]))
        self.peer = b""
        self.index = 0
        self.chains: dict[int, bytes] = {}
        self.offered: KemPrivate | None = None

    def step(self, index: int, secret: bytes) -> None:
        dh = self.own.exchange(self.peer)
        self.root, self.chains[index], self.resumption = oracle.step(self.root, dh, secret, index)
        self.index = index

    def opened(self, header: bytes, ciphertext: bytes) -> bytes:
        """The payload of a message, by the key that the oracle derives for its place."""
        read = wire.decode(Header, header)
        key = oracle.aead_key(self.chains[read.step], read.number, read.guard)
        return primitives.unseal(key, ciphertext, oracle.associated_data(self.channel, header))

    def receive(self, header: bytes, ciphertext: bytes) -> bytes:
        read = wire.decode(Header, header)
        if read.step > self.index:
            self.peer = read.ratchet
            secret = b""
            if read.answer is not None:
                assert self.offered is not None
                secret = self.offered.decapsulate(read.answer)
            self.step(read.step, secret)
        return self.opened(header, ciphertext)

    def send(self, header: bytes, ciphertext: bytes, draws: list[str]) -> bytes | None:
        """None where it mixes in what only the KEM's own randomness knows."""
        read = wire.decode(Header, header)
        if read.step > self.index:
            if read.answer is not None:
                return None
            self.own = DhPrivate.from_bytes(bytes.fromhex(draws[0]))
            assert self.own.public == read.ratchet
            self.offered = kem(draws[1]) if read.offer is not None else self.offered
            self.step(read.step, b"")
        return self.opened(header, ciphertext)


def followed(vector: dict[str, Any]) -> tuple[Talk, int]:
    """A conversation as far as its secrets are in the vector, each message opened."""
    talk, seen = Talk(vector["given"]), 0
    for step, result in zip(vector["given"]["steps"], vector["then"]["results"], strict=True):
        if "open" in step:
            header, ciphertext = map(bytes.fromhex, step["open"])
            assert talk.receive(header, ciphertext).hex() == result
        else:
            header, ciphertext = map(bytes.fromhex, result)
            payload = talk.send(header, ciphertext, step["draws"])
            if payload is None:
                break
            assert payload.hex() == step["seal"]
        seen += 1
    return talk, seen


def test_every_message_key_of_the_conversations() -> None:
    whole = 0
    for vector in TALKS:
        talk, seen = followed(vector)
        assert seen >= 5
        told = vector["then"]
        if seen == len(told["results"]):
            whole += 1
            expected = (told["step"], told["root"], told["resumption"])
            assert (talk.index, talk.root.hex(), talk.resumption.hex()) == expected
    assert whole >= 2  # in the others the last step answers a KEM offer of the peer's
