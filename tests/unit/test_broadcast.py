"""Broadcast (spec 13): names, messages, slots, and the rules of the model."""

import hashlib
import struct
from contextlib import suppress
from dataclasses import fields
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupcrypt.errors import (
    AuthenticationFailed,
    BadKey,
    MalformedFrame,
    NonCanonical,
    RemoteError,
    UnknownType,
)
from groupcrypt.protocol.broadcast import (
    REPLY_TO,
    Append,
    Appended,
    BlobHeld,
    BlobPart,
    Broadcast,
    Code,
    Done,
    EndOfBacklog,
    Entry,
    Goaway,
    Greeting,
    Hello,
    Limits,
    Page,
    Ping,
    Pong,
    PoolCount,
    PoolCounted,
    PoolItem,
    PoolPut,
    PoolTake,
    Refused,
    Reply,
    Request,
    SlotGet,
    SlotPut,
    SlotStored,
    SlotValue,
    Subscribe,
    Subscribed,
    TopicKind,
    Unsubscribe,
    blob_id,
    name_of,
    pool_id,
    read_reply,
    read_request,
    sign_slot,
    slot_name,
    token_hash,
    topic_id,
    type_of_reply,
    type_of_request,
    verify_slot,
    write_reply,
    write_request,
)
from groupcrypt.protocol.primitives import SigningKey
from tests.server.scene import GROUP, MAILBOX, Blob, Topic, mid, token

KEY = SigningKey.from_bytes(token("slot key"))
PUT, TAKE = token("put"), token("take")
REQUESTS: list[Request] = [
    Hello(1),
    Ping(),
    GROUP.append(1),
    GROUP.subscribe(2**63 - 1),
    Unsubscribe(GROUP.id),
    GROUP.read(5, 256),
    MAILBOX.trim(7),
    sign_slot(KEY, 3, b"value"),
    SlotGet(slot_name(KEY.public)),
    PoolPut(PUT, token_hash(TAKE), 0, (b"one", b"two")),
    PoolTake(TAKE, token_hash(PUT)),
    PoolCount(PUT, token_hash(TAKE)),
    Blob().new(2**32 - 1),
    Blob().put(2**32 - 1, b"part"),
    Blob().seal(),
    Blob().drop(),
    Blob().get(7),
]
ENTRY = Entry(GROUP.id, 2, 1, mid(1), 1_700_000_000, b"body")
REPLIES: list[Reply] = [
    Ping(),
    Greeting(1, 1_700_000_000, Limits()),
    Pong(),
    Refused(Code.RATE, 1000),
    Goaway(Code.DRAINING, 5000),
    Done(),
    Appended(7, duplicate=True),
    Subscribed(GROUP.id, 9, 1),
    ENTRY,
    EndOfBacklog(GROUP.id, 9),
    Page(GROUP.id, 9, 1, more=True, entries=(ENTRY,)),
    SlotStored(3),
    SlotValue(KEY.public, 3, b"value", bytes(64)),
    PoolItem(None, 0),
    PoolItem(b"one", 1),
    PoolCounted(2, 2),
    BlobHeld(1, 2, sealed=True),
    BlobPart(4, b"part"),
]


def framed(label: bytes, *parts: bytes) -> bytes:
    """`digest` of spec 03.1, written down again."""
    text = b"groupcrypt/1 " + label + b"\0"
    for part in parts:
        text += struct.pack(">I", len(part)) + part
    return hashlib.sha256(text).digest()


# --- names ----------------------------------------------------------------------------------


@pytest.mark.spec("13.1-1")
def test_names_are_the_hashes_of_the_spec() -> None:
    write, read = framed(b"token", PUT), framed(b"token", TAKE)
    assert token_hash(PUT) == write
    assert topic_id(write, read) == framed(b"topic", b"\0", write, read)
    assert topic_id(write, read, TopicKind.MAILBOX) == framed(b"topic", b"\1", write, read)
    assert pool_id(write, read) == framed(b"pool", write, read)
    assert blob_id(write, read) == framed(b"blob", write, read)
    assert slot_name(KEY.public) == framed(b"slot name", KEY.public)


@pytest.mark.spec("13.1-1")
@pytest.mark.parametrize("topic", [GROUP, MAILBOX], ids=["group", "mailbox"])
def test_both_sides_name_one_topic(topic: Topic) -> None:
    assert topic.append(1).topic == topic.subscribe().topic == topic.read().topic == topic.id
    assert (topic.trim(1).topic == topic.id) == (topic.kind == TopicKind.MAILBOX)


@pytest.mark.spec("13.1-1")
def test_another_token_or_kind_is_another_thing() -> None:
    names = {
        GROUP.id,
        Topic(kind=TopicKind.MAILBOX).id,
        Append(token("other"), token_hash(GROUP.read_token), mid(1), b"", 60).topic,
        Subscribe(token("other"), token_hash(GROUP.write), 0).topic,
        # The hash shown as if it were the token, and the tokens swapped.
        Subscribe(token_hash(GROUP.read_token), token_hash(GROUP.write), 0).topic,
        Subscribe(GROUP.write, token_hash(GROUP.read_token), 0).topic,
        PoolTake(GROUP.read_token, token_hash(GROUP.write)).pool,
    }
    assert len(names) == 7


# --- messages -------------------------------------------------------------------------------


def test_every_kind_of_message_is_tried_here() -> None:
    assert {type(each) for each in REQUESTS} == set(type_of_request) == set(get_args(Request))
    assert {type(each) for each in REPLIES} == set(type_of_reply) == set(get_args(Reply))
    assert set(REPLY_TO) == set(type_of_request)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: type(each).__name__)
def test_requests_come_back_as_they_went(request_: Request) -> None:
    payload = write_request(2**32 - 1, request_)
    assert payload[:5] == bytes((type_of_request[type(request_)],)) + b"\xff" * 4
    assert read_request(payload) == (2**32 - 1, request_)


@pytest.mark.parametrize("reply", REPLIES, ids=lambda each: type(each).__name__)
def test_replies_come_back_as_they_went(reply: Reply) -> None:
    assert read_reply(write_reply(7, reply)) == (7, reply)


@pytest.mark.spec("13.3-1")
def test_an_unknown_type_is_its_own_error() -> None:
    for number in range(256):
        payload = bytes((number,)) + bytes(4) + b"\x90"
        for read, known in ((read_request, type_of_request), (read_reply, type_of_reply)):
            if number not in known.values():
                with pytest.raises(UnknownType):
                    read(payload)


@pytest.mark.parametrize("payload", [b"", b"\x02", b"\x02\0\0\0"])
def test_a_message_without_a_head_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedFrame) as caught:
        read_request(payload)
    assert caught.type is MalformedFrame


def test_one_message_has_one_encoding() -> None:
    good = write_request(1, Hello(1))
    assert good[5:] == b"\x91\x01"
    with pytest.raises(NonCanonical):
        read_request(good[:5] + b"\x91\xcc\x01")
    with pytest.raises(MalformedFrame):
        read_request(good + b"\0")


def test_the_key_of_a_slot_is_checked_when_it_is_read() -> None:
    put = sign_slot(KEY, 1, b"")
    payload = write_request(1, SlotPut(bytes(32), put.version, put.value, put.signature))
    with pytest.raises(BadKey):
        read_request(payload)


@given(st.binary(max_size=300))
def test_reading_is_total(payload: bytes) -> None:
    for read in (read_request, read_reply):
        with suppress(RemoteError):
            read(payload)


@given(st.sampled_from(REQUESTS), st.data())
def test_no_changed_byte_is_read_as_something_uncanonical(request_: Request, data: Any) -> None:
    payload = bytearray(write_request(1, request_))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        tag, got = read_request(bytes(payload))
    except RemoteError:
        return
    assert write_request(tag, got) == bytes(payload)


def test_nothing_secret_in_a_repr() -> None:
    for each in (*REQUESTS, *REPLIES):
        text = repr(each)
        for field in fields(each):
            value = getattr(each, field.name)
            if isinstance(value, bytes) and value:
                assert repr(value) not in text
                assert value.hex() not in text


# --- slots ----------------------------------------------------------------------------------


def value_of(put: SlotPut) -> SlotValue:
    return SlotValue(put.public, put.version, put.value, put.signature)


@pytest.mark.spec("13.7-2")
def test_a_slot_is_checked_against_its_name() -> None:
    held = value_of(sign_slot(KEY, 5, b"sealed"))
    assert verify_slot(slot_name(KEY.public), held) == b"sealed"
    other = SigningKey.from_bytes(token("another key"))
    for name, wrong in (
        (slot_name(other.public), held),
        (slot_name(KEY.public), value_of(sign_slot(other, 5, b"sealed"))),
        (slot_name(KEY.public), SlotValue(KEY.public, 6, b"sealed", held.signature)),
        (slot_name(KEY.public), SlotValue(KEY.public, 5, b"Sealed", held.signature)),
    ):
        with pytest.raises(AuthenticationFailed):
            verify_slot(name, wrong)


# --- the model ------------------------------------------------------------------------------


def test_the_model_answers_a_client_from_hello_on() -> None:
    model = Broadcast()
    assert model.answer(Hello(1), now=5) == Greeting(1, 5, Limits())
    assert model.answer(Hello(2), now=5) == Refused(Code.UNSUPPORTED, 0)
    assert model.answer(Ping(), now=5) == Pong()
    assert model.answer(Unsubscribe(GROUP.id), now=5) == Done()
    assert model.answer(GROUP.subscribe(), now=5) == Subscribed(GROUP.id, 0, 1)
    assert model.answer(GROUP.append(1), now=5) == Appended(1, duplicate=False)
    assert model.answer(GROUP.subscribe(1), now=5) == Subscribed(GROUP.id, 1, 1)
    assert model.answer(GROUP.subscribe(2), now=5) == Refused(Code.HISTORY_LOST, 0)
    assert model.answer(GROUP.read(2), now=5) == Refused(Code.HISTORY_LOST, 0)
    page = model.answer(GROUP.read(), now=5)
    assert isinstance(page, Page)
    assert page.entries == (Entry(GROUP.id, 1, 0, mid(1), 5, b"body"),)
    put = sign_slot(KEY, 1, b"value")
    assert model.answer(SlotGet(put.name), now=5) == Refused(Code.GONE, 0)
    assert model.answer(put, now=5) == SlotStored(1)
    assert model.answer(SlotGet(put.name), now=5) == value_of(put)
    assert model.answer(PoolCount(PUT, token_hash(TAKE)), now=5) == PoolCounted(0, 0)


@pytest.mark.spec("13.4-1")
def test_numbers_are_not_given_twice_when_a_topic_was_forgotten() -> None:
    model = Broadcast(Limits(ttl_least=1, dedupe_seconds=1, idle_seconds=100))
    for number in range(3):
        model.answer(MAILBOX.append(number, ttl=1), now=0)
        model.answer(GROUP.append(number, ttl=1), now=0)
    while model.expire(now=200):
        pass
    assert model.answer(MAILBOX.subscribe(3), now=200) == Refused(Code.HISTORY_LOST, 0)
    entry = model.apply(MAILBOX.append(9), now=200).entry
    assert entry is not None
    assert (entry.seq, entry.prev) == (4, 0)
    first = model.apply(GROUP.append(9), now=200).entry  # a group's positions count from 1
    assert first is not None
    assert (first.seq, first.prev) == (1, 0)


def test_names_of_writes() -> None:
    pool = pool_id(token_hash(PUT), token_hash(TAKE))
    assert name_of(GROUP.append(1)) == GROUP.id
    assert name_of(MAILBOX.trim(1)) == MAILBOX.id
    assert name_of(sign_slot(KEY, 1, b"")) == slot_name(KEY.public)
    assert name_of(PoolPut(PUT, token_hash(TAKE), 0, ())) == pool
    assert name_of(PoolTake(TAKE, token_hash(PUT))) == pool
