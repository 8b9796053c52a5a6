"""Chapter 04: the strict codec refuses everything but the one encoding."""

import threading
import tracemalloc
from typing import Annotated, Any

import pytest

from groupcrypt.errors import BadKey, MalformedFrame, NonCanonical, UnsupportedVersion
from groupcrypt.protocol import identity, membership, wire
from groupcrypt.protocol.identifiers import MessageId
from groupcrypt.protocol.identity import DeviceCertificate
from groupcrypt.protocol.membership.log import Entry
from groupcrypt.protocol.primitives import DhPrivate
from groupcrypt.protocol.wire import U8, Blob, Text, decode, encode, shape
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.person import make_person
from groupcrypt.testing.vectors import ch04_wire, ch09_membership
from groupcrypt.testing.vectors.ch04_wire import PIECES, Example, with_piece

GOOD, BAD_LIST = ch04_wire.generate()
BAD = {one["name"]: one for one in BAD_LIST}
WORKED = b"".join(PIECES.values())
VALUE = Example(
    7, 300, None, b"\xaa\xbb", "h\u00e9", flag=True, many=(1, 65535), pair=(255, bytes(8))
)


def test_the_worked_example_of_the_spec() -> None:
    assert encode(VALUE) == WORKED
    assert decode(Example, WORKED) == VALUE


@pytest.mark.spec("04.1-1")
def test_s76_another_version_is_refused_wherever_one_stands() -> None:
    alice = make_person(SeededEntropy(1))
    certificate = alice.phone.certificate
    sealed = identity.seal_slot(bytes(32), b"", SeededEntropy(2))
    (entry,) = (one for one in ch09_membership.generate()[1] if one["name"] == "another version")
    ch09_membership.check(entry)
    for version in (0, 2, 255):
        other = DeviceCertificate(
            version,
            certificate.account,
            certificate.signing,
            certificate.dh,
            certificate.account_signature,
            certificate.device_signature,
        )
        with pytest.raises(UnsupportedVersion):
            identity.check_certificate(other)
        with pytest.raises(UnsupportedVersion):
            identity.open_slot(bytes(32), bytes((version,)) + sealed[1:])


@pytest.mark.spec("04.2-1")
def test_cw16_the_size_is_checked_before_anything_is_built() -> None:
    bomb = b"\xdd" + (1_000_000).to_bytes(4, "big") + b"\x80" * 1_000_000
    tracemalloc.start()
    with pytest.raises(MalformedFrame):
        decode(Example, bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.spec("04.2-1")
def test_cw17_exactly_the_limit_is_accepted() -> None:
    assert decode(Example, WORKED, len(WORKED)) == VALUE
    with pytest.raises(MalformedFrame):
        decode(Example, WORKED, len(WORKED) - 1)


@pytest.mark.spec("04.2-2", "04.2-3", "04.2-4")
@pytest.mark.parametrize("name", [n for n, one in BAD.items() if one["expect"] == "malformed"])
def test_cw01_to_cw18_malformed(name: str) -> None:
    ch04_wire.check(BAD[name])


@pytest.mark.spec("04.2-5")
@pytest.mark.parametrize("name", [n for n, one in BAD.items() if one["expect"] == "non-canonical"])
def test_cw05_to_cw07_other_encodings_of_the_same_value(name: str) -> None:
    ch04_wire.check(BAD[name])


@pytest.mark.spec("04.2-2")
def test_cw04_every_proper_prefix_is_malformed() -> None:
    for length in range(len(WORKED)):
        with pytest.raises(MalformedFrame):
            decode(Example, WORKED[:length])


@pytest.mark.spec("04.2-6")
def test_cw15_depth_ends_in_an_error_on_a_small_stack_too() -> None:
    outcomes: list[str] = []

    def attempt() -> None:
        for depth in (100, 1_000, 90_000):
            try:
                decode(Example, b"\x91" * depth + b"\x01")
            except MalformedFrame:
                outcomes.append("malformed")

    attempt()
    before = threading.stack_size(64 * 1024)
    try:
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert outcomes == ["malformed"] * 6


@pytest.mark.spec("04.2-6")
def test_cw14_headers_that_promise_much_cost_nothing() -> None:
    for code in (0xDD, 0xDF, 0xC6, 0xDB, 0xC9):
        tracemalloc.start()
        with pytest.raises(MalformedFrame):
            decode(Example, bytes((code,)) + b"\xff" * 4)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000


@pytest.mark.spec("04.2-6")
def test_a_fields_own_check_keeps_its_error() -> None:
    certificate = make_person(SeededEntropy(1)).phone.certificate
    raw = encode(certificate).replace(certificate.dh, bytes(32))
    with pytest.raises(BadKey):
        decode(DeviceCertificate, raw)


@pytest.mark.spec("04.2-7")
def test_errors_do_not_repeat_the_input() -> None:
    secret = b"SECRET-SECRET"
    inputs = [
        *(with_piece(name, b"\xc4\x0d" + secret) for name in PIECES if name != "blob"),
        *(with_piece(name, b"\xad" + secret) for name in PIECES if name != "title"),
        with_piece("title", b"\xae\xff" + secret),
        with_piece("many", b"\x91\xad" + secret),
        b"\xad" + secret,
        WORKED + secret,
    ]
    for raw in inputs:
        with pytest.raises(MalformedFrame) as raised:
            decode(Example, raw)
        chain: BaseException | None = raised.value
        while chain is not None:
            assert "SECRET" not in str(chain)
            chain = chain.__cause__


@pytest.mark.spec("04.3-1")
def test_a_signature_is_checked_over_the_bytes_as_they_came() -> None:
    """A body in another encoding, signed as such, is refused for its encoding: never re-encoded."""
    bad = {one["name"]: one for one in ch09_membership.generate()[1]}
    one = bad["a body that is not canonical"]
    ch09_membership.check(one)
    entry = decode(Entry, bytes.fromhex(one["given"]["entry"]))
    with pytest.raises(NonCanonical):
        membership.read_entry(encode(entry))


# --- declaring shapes -----------------------------------------------------------------------


def test_a_shape_shows_no_values() -> None:
    assert "300" not in repr(VALUE)
    assert "aabb" not in repr(VALUE).lower()


def test_a_private_key_is_a_field() -> None:
    @shape
    class Keys:
        dh: DhPrivate

    keys = Keys(DhPrivate.generate(SeededEntropy(3)))
    assert decode(Keys, encode(keys)) == keys
    with pytest.raises(BadKey):
        decode(Keys, b"\x91\xc4\x1f" + bytes(31))
    with pytest.raises(MalformedFrame):
        decode(Keys, b"\x91\x01")


@pytest.mark.parametrize("hint", [MessageId, object, Annotated[int, "unbounded"], dict[str, int]])
def test_a_field_without_a_codec_is_an_error_of_the_programmer(hint: Any) -> None:
    annotations = {"field": hint}
    with pytest.raises(TypeError):
        shape(type("Unfit", (), {"__annotations__": annotations}))


def test_bounds_hold_at_both_ends() -> None:
    @shape
    class Bounded:
        blob: Annotated[bytes, Blob(2, 4)]
        number: U8

    for size in range(7):
        raw = bytes((0x92, 0xC4, size)) + bytes(size) + b"\x01"
        if 2 <= size <= 4:
            assert len(decode(Bounded, raw).blob) == size
        else:
            with pytest.raises(MalformedFrame):
                decode(Bounded, raw)


def test_the_vectors_have_every_field_at_both_ends() -> None:
    values = [wire.decode(Example, bytes.fromhex(one["given"]["bytes"])) for one in GOOD]
    assert {value.small for value in values} >= {0, 127, 128, 255}
    assert {value.large for value in values} >= {0, 2**64 - 1}
    assert {len(value.blob) for value in values} >= {0, 40}


@shape
class Named:
    """A name of six bytes at most."""

    name: Annotated[str, Text(6)]


@pytest.mark.parametrize("name", ["", "abcdef", "äöü"])
def test_a_text_may_have_as_many_bytes_as_its_limit(name: str) -> None:
    assert decode(Named, encode(Named(name))) == Named(name)
    with pytest.raises(MalformedFrame):
        decode(Named, encode(Named(name + "abcdefg"[len(name.encode()) :])))
