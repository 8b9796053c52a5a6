"""Decoders are total: random bytes give a value or one of our errors, and nothing else."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from groupcrypt.errors import GroupcryptError, InvalidCard, MalformedFrame, RemoteError
from groupcrypt.protocol import identity, membership, primitives
from groupcrypt.protocol.identity import Card
from groupcrypt.protocol.membership import Member, Roster, Settings
from groupcrypt.protocol.primitives import DhPrivate
from groupcrypt.protocol.wire import decode, encode
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.logbook import found
from groupcrypt.testing.person import make_person
from groupcrypt.testing.vectors.ch04_wire import Example

ENTROPY = SeededEntropy(b"test decoders")
ALICE, BOB = make_person(ENTROPY), make_person(ENTROPY)
ROSTER, LOG = found(ALICE, Settings("x"), BOB)
KEY = bytes(32)
DH = DhPrivate.generate(ENTROPY)

READERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "example": (lambda raw: decode(Example, raw), b"\x98"),
    "device list": (identity.read_device_list, ALICE.listed.raw),
    "stored device list": (identity.stored_device_list, ALICE.listed.raw),
    "slot": (lambda raw: identity.open_slot(KEY, raw), identity.seal_slot(KEY, b"", ENTROPY)),
    "account record": (identity.read_account_record, b"\x93"),
    "entry": (membership.read_entry, LOG[1]),
    "first entry": (lambda raw: membership.apply(None, raw), LOG[0]),
    "next entry": (lambda raw: membership.apply(ROSTER, raw), LOG[1]),
    "leave": (
        lambda raw: membership.check_leave(ROSTER, raw),
        membership.make_leave(ROSTER, BOB.phone),
    ),
    "confirm": (
        lambda raw: membership.check_confirm(ROSTER, ALICE.account, raw, KEY),
        membership.make_confirm(BOB.phone, ROSTER.log_hash, KEY),
    ),
    "member": (Member.from_bytes, ROSTER.members[BOB.account].to_bytes()),
    "roster": (Roster.from_bytes, ROSTER.to_bytes()),
    "padding": (primitives.unpad, primitives.pad(b"x")),
    "hpke": (
        lambda raw: primitives.hpke_open(DH, b"", b"", raw),
        primitives.hpke_seal(DH.public, b"", b"", b"x", ENTROPY),
    ),
}

# MessagePack values of every kind, also those that no shape has.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=70)
    | st.text(max_size=20)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=10) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def packed(value: object) -> bytes:
    raw = msgpack.packb(value, use_bin_type=True)
    assert isinstance(raw, bytes)
    return raw


def attempt(read: Callable[[bytes], object], raw: bytes) -> None:
    with suppress(RemoteError):
        read(raw)


@pytest.mark.spec("04.2-6")
@pytest.mark.parametrize("name", READERS)
@given(raw=st.binary(max_size=600))
@example(raw=b"")
@example(raw=b"\xc1")
def test_random_bytes(name: str, raw: bytes) -> None:
    attempt(READERS[name][0], raw)


@pytest.mark.spec("04.2-6")
@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_valid_bytes_with_a_random_change(name: str, data: st.DataObject) -> None:
    read, good = READERS[name]
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 8)))
    attempt(read, good[:start] + data.draw(st.binary(max_size=8)) + good[end:])


@pytest.mark.spec("04.2-6")
@pytest.mark.parametrize("name", READERS)
@given(value=VALUES)
def test_random_messagepack(name: str, value: Any) -> None:
    attempt(READERS[name][0], packed(value))


@pytest.mark.spec("04.2-5")
@given(value=VALUES | st.tuples(*[SCALARS] * 8))
def test_whatever_decodes_encodes_to_the_same_bytes(value: Any) -> None:
    raw = packed(value)
    try:
        read = decode(Example, raw)
    except MalformedFrame:
        return
    assert encode(read) == raw


@pytest.mark.spec("02.5-2")
@given(text=st.text() | st.text("groupcypt:1-_AZaz09=").map(lambda tail: "groupcrypt:1:" + tail))
def test_random_text_is_no_card(text: str) -> None:
    with pytest.raises(InvalidCard):
        Card.parse(text)


@pytest.mark.spec("02.7-1")
@given(text=st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    once = identity.clean_text(text)
    assert identity.clean_text(once) == once


@given(key=st.binary(min_size=32, max_size=32), message=st.binary(max_size=50))
def test_any_key_and_signature_gives_a_typed_refusal(key: bytes, message: bytes) -> None:
    with pytest.raises(GroupcryptError):
        primitives.verify(primitives.check_signing_public(key), key * 2, "x", message)
