"""What applications say, and what is refused of it (spec 11)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupcrypt.errors import ContentTooLarge, InvalidTimer, MalformedFrame, RemoteError
from groupcrypt.protocol import limits, wire
from groupcrypt.protocol.content import (
    MARK_BYTES,
    ChainHead,
    Content,
    ContentType,
    CustomContent,
    DeleteContent,
    EditContent,
    Envelope,
    HeadsContent,
    LeaveContent,
    ReactionContent,
    ReceiptContent,
    ReceiptKind,
    Reference,
    ReplyContent,
    Said,
    SeenContent,
    SeenLine,
    TextContent,
    TimerContent,
    TypingContent,
    Unknown,
    read_content,
    sealed_again,
    write_content,
)
from groupcrypt.protocol.events import MessageReceived
from groupcrypt.protocol.identifiers import MessageId
from groupcrypt.protocol.membership import make_leave
from groupcrypt.testing.room import Room

TIME = 1_800_000_000_000
TARGET = Reference(bytes(32), b"\1" * 16)


def said(content: Content, *, expires: int = 0) -> Said:
    return read_content(write_content(content, time=TIME, expires=expires))


@pytest.mark.parametrize(
    "content",
    [
        TextContent("hello"),
        TextContent(""),
        ReceiptContent(ReceiptKind.READ, None, (bytes(16), b"\1" * 16)),
        ReceiptContent(ReceiptKind.DELIVERED, bytes(32), ()),
        ReplyContent(TARGET, "hel", "hello to you"),
        ReactionContent(TARGET, "+1"),
        EditContent(bytes(16), "hallo"),
        DeleteContent(bytes(16)),
        TypingContent(typing=True),
        TimerContent(5, 1),
        SeenContent(False, bytes(32), (SeenLine(bytes(32), bytes(16), 7),)),
        CustomContent("example.org/poll", b"\0\1"),
        LeaveContent(b"signed elsewhere"),
        Unknown(4711, b"later"),
    ],
)
def test_what_is_written_is_read(content: Content) -> None:
    found = said(content, expires=3600)
    assert (found.content, found.time, found.expires) == (content, TIME, 3600)


@pytest.mark.spec("11.1-1")
def test_a_content_has_a_limit() -> None:
    most = limits.MAX_CONTENT_BYTES - MARK_BYTES
    room = most - len(write_content(Unknown(99, bytes(60_000)), time=TIME)) + 60_000
    raw = write_content(Unknown(99, bytes(room)), time=TIME)
    assert len(raw) == most
    marked = sealed_again(raw, 2**32 - 1)
    assert len(marked) == limits.MAX_CONTENT_BYTES
    assert read_content(marked).earlier == 2**32 - 1
    assert sealed_again(marked, 5) == marked
    assert read_content(raw).content == Unknown(99, bytes(room))
    with pytest.raises(ContentTooLarge):
        write_content(Unknown(99, bytes(room + 1)), time=TIME)
    with pytest.raises(ContentTooLarge):
        write_content(TextContent("x" * most), time=TIME)
    too_long = wire.encode(Envelope(99, TIME, 0, None, bytes(room + 1 + MARK_BYTES)))
    with pytest.raises(MalformedFrame):
        read_content(too_long)


@pytest.mark.spec("11.1-2")
@pytest.mark.parametrize(
    ("number", "body", "code"),
    [
        (ContentType.TEXT, b"", "malformed"),
        (ContentType.TEXT, b"\x90", "malformed"),  # no field
        (ContentType.TEXT, b"\x92\xa1a\xa1b", "malformed"),  # one too many
        (ContentType.TEXT, b"\x91\xc4\x01a", "malformed"),  # bytes for a text
        (ContentType.TEXT, b"\x91\xd9\x01a", "non-canonical"),
        (ContentType.TEXT, b"\x91\xa1a\x00", "malformed"),
        (ContentType.RECEIPT, b"\x93\x00\xc0\x91\xc4\x01a", "malformed"),  # an id of one byte
        (ContentType.REPLY, wire.encode(TextContent("a")), "malformed"),
        (ContentType.REPLY, wire.encode(ReplyContent(TARGET, "e" * 1_025, "")), "malformed"),
        (ContentType.REACTION, wire.encode(ReactionContent(TARGET, "e" * 65)), "malformed"),
        (ContentType.EDIT, wire.encode(DeleteContent(bytes(16))), "malformed"),
        (ContentType.DELETE, wire.encode(TARGET), "malformed"),
        (ContentType.TYPING, b"\x91\x02", "malformed"),
        (ContentType.TIMER, wire.encode(TimerContent(4, 1)), "malformed"),
        (
            ContentType.TIMER,
            wire.encode(TimerContent(limits.MAX_TIMER_SECONDS + 1, 1)),
            "malformed",
        ),
        (ContentType.SEEN, wire.encode(SeenContent(True, bytes(31), ())), "malformed"),
        (ContentType.CUSTOM, wire.encode(TextContent("a")), "malformed"),
        (ContentType.LEAVE, wire.encode(LeaveContent(bytes(1025))), "malformed"),
    ],
)
def test_a_body_has_to_be_the_shape_of_its_type(number: int, body: bytes, code: str) -> None:
    with pytest.raises(RemoteError) as caught:
        read_content(wire.encode(Envelope(number, TIME, 0, None, body)))
    assert caught.value.code == code


@pytest.mark.spec("11.1-5")
def test_what_disappears_is_shown_from_five_seconds_to_four_weeks() -> None:
    least, most = limits.MIN_TIMER_SECONDS, limits.MAX_TIMER_SECONDS
    for seconds in (0, least, most):
        assert said(TextContent("x"), expires=seconds).expires == seconds
    for seconds in (1, least - 1, most + 1, 2**32 - 1):
        for number in (ContentType.TEXT, 4711):
            with pytest.raises(MalformedFrame):
                read_content(wire.encode(Envelope(number, TIME, seconds, None, b"\x91\xa1x")))
        with pytest.raises(InvalidTimer):
            write_content(TextContent("x"), time=TIME, expires=seconds)


@pytest.mark.spec("11.1-4")
@pytest.mark.parametrize("time", [0, 1, 2**63, 2**64 - 1])
def test_the_senders_clock_is_shown_and_not_judged(time: int) -> None:
    assert read_content(write_content(TextContent("x"), time=time)).time == time


@pytest.mark.spec("11.2-1")
def test_a_leave_is_no_message() -> None:
    room = Room(1, "alice bob carol", members="bob carol")
    seat = room.seats["bob"]
    proposal = make_leave(seat.group.roster, seat.me)
    room.send_content("bob", MessageId(bytes(16)), LeaveContent(proposal))
    room.settle()
    events = [event for each in room.seats.values() for event in each.events]
    assert not [event for event in events if isinstance(event, MessageReceived)]
    assert seat.person.account not in room.seats["alice"].group.roster.members


@pytest.mark.spec("11.3-1")
@given(st.text(max_size=200))
def test_a_text_comes_out_as_it_went_in(text: str) -> None:
    assert said(TextContent(text)).content == TextContent(text)


@pytest.mark.spec("11.3-1")
@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"])
def test_bytes_that_are_no_text_are_refused(bad: bytes) -> None:
    body = b"\x91" + bytes([0xA0 | len(bad)]) + bad
    with pytest.raises(MalformedFrame):
        read_content(wire.encode(Envelope(ContentType.TEXT, TIME, 0, None, body)))


@pytest.mark.spec("11.4-1")
def test_a_receipt_says_delivered_or_read() -> None:
    for kind in ReceiptKind:
        assert said(ReceiptContent(kind, None, ())).content == ReceiptContent(kind, None, ())
    for number in (2, 255):
        with pytest.raises(MalformedFrame):
            said(ReceiptContent(number, None, ()))


@pytest.mark.spec("11.5-1")
@given(st.text(max_size=16), st.binary(max_size=300))
def test_custom_content_is_handed_over_as_it_came(name: str, data: bytes) -> None:
    assert said(CustomContent(name, data)).content == CustomContent(name, data)


@pytest.mark.spec("11.6-1")
@given(st.integers(19, 2**16 - 1), st.binary(max_size=300), st.integers(5, 4 * 7 * 24 * 3600))
def test_unknown_types_are_kept(number: int, body: bytes, expires: int) -> None:
    raw = write_content(Unknown(number, body), time=TIME, expires=expires)
    found = read_content(raw)
    assert found.content == Unknown(number, body)
    assert write_content(found.content, time=found.time, expires=found.expires) == raw


@pytest.mark.spec("11.2-3")
def test_heads_are_bounded() -> None:
    line = ChainHead(bytes(16), 7, 3, bytes(16))
    most = HeadsContent(4, (line,) * limits.MAX_HEADS_CHAINS)
    assert said(most).content == most
    body = b"\x92\x04\xdc\x00\x41" + 65 * wire.encode(line)
    with pytest.raises(MalformedFrame):
        said(Unknown(ContentType.HEADS, body))


@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        found = read_content(raw)
    except MalformedFrame:  # also `non-canonical`
        return
    assert write_content(found.content, time=found.time, expires=found.expires) == raw
