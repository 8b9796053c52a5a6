"""Pairwise sessions: envelopes, starts that cross, recovery (spec 07)."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from groupcrypt.errors import (
    AuthenticationFailed,
    BadKey,
    ContentTooLarge,
    Duplicate,
    Exhausted,
    Expired,
    GroupcryptError,
    MalformedFrame,
    NotAllowed,
    RemoteError,
    SessionBroken,
    SessionWedged,
    TooFarAhead,
    UnknownPrekey,
    UnknownResumption,
    UnsupportedVersion,
)
from groupcrypt.protocol import handshake, limits, pairwise, primitives, ratchet
from groupcrypt.protocol.pairwise import AwaitingReply, Established, Session, Wedged
from groupcrypt.protocol.pairwise import envelope as envelopes
from groupcrypt.protocol.pairwise.session import Retired
from groupcrypt.protocol.ratchet import Chain
from groupcrypt.protocol.wire import decode, encode
from groupcrypt.testing.pair import End, make_ends, make_pair

HOUR = limits.SESSION_RESET_SECONDS


def state_of(end: End) -> tuple[bytes | None, bytes]:
    session = None if end.session is None else pairwise.write_session(end.held())
    return session, handshake.write_prekeys(end.prekeys)


def refuses(end: End, letter: bytes, error: type[GroupcryptError]) -> None:
    """The step itself raises and changes nothing (`End.receive` would judge the session)."""
    before = state_of(end)
    with pytest.raises(RemoteError) as raised:
        pairwise.receive(
            end.me,
            end.prekeys,
            end.session,
            pairwise.unwrap(end.me, letter),
            now=end.now,
            entropy=end.entropy,
        )
    assert raised.type is error
    assert state_of(end) == before


def opened(end: End, letter: bytes) -> bool:
    try:
        end.receive(letter)
    except RemoteError:
        return False
    return True


def link_of(end: End) -> Any:
    return end.held().link


def resealed(sender: End, recipient: End, at: int) -> bytes:
    """A fresh envelope with one of its inner bytes (tag and body) changed."""
    inner = primitives.hpke_open(recipient.me.dh, envelopes._INFO, b"", sender.seal(b"x"))
    raw = primitives.unpad(inner)
    changed = raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :]
    return wrapped(recipient, primitives.pad(changed))


def wrapped(recipient: End, padded: bytes) -> bytes:
    public = recipient.me.dh.public
    return primitives.hpke_seal(public, envelopes._INFO, b"", padded, recipient.entropy)


def body_of(sender: End, recipient: End) -> envelopes._Body:
    inner = primitives.hpke_open(recipient.me.dh, envelopes._INFO, b"", sender.seal(b"x"))
    return decode(envelopes._Body, primitives.unpad(inner)[32:])


def with_body(sender: End, recipient: End, body: envelopes._Body) -> bytes:
    """An envelope with this body and a good tag."""
    raw = encode(body)
    pair = envelopes.pair_key(sender.me, recipient.me.certificate)
    parts = (sender.me.device, recipient.me.device, raw)
    tag = primitives.mac(pair, "pairwise mac", *parts)
    return wrapped(recipient, primitives.pad(tag + raw))


# --- a conversation ---------------------------------------------------------------------------


def test_two_devices_talk() -> None:
    a, b = make_ends()
    a.start(b)
    assert isinstance(a.held(), AwaitingReply)
    assert b.receive(a.seal(b"one")) == b"one"
    assert b.last().started and b.last().proven
    names = b.last().lists
    assert names is not None
    assert [(one.version, one.hash) for one in names] == [a.list_name, b.list_name]
    assert isinstance(b.held(), Established)
    assert a.receive(b.seal(b"two")) == b"two"
    assert isinstance(a.held(), Established)
    assert a.held().peer == b.me.certificate and a.held().created == int(a.now)
    assert b.receive(a.seal(b"three")) == b"three"
    assert not b.last().started and b.last().lists is None


@pytest.mark.parametrize("one_time", [0, 1])
def test_an_empty_pool_stops_nobody(one_time: int) -> None:
    a, b = make_ends(one_time=one_time)
    a.start(b)
    assert b.receive(a.seal(b"x")) == b"x"


@pytest.mark.spec("07.2-1")
def test_s78_empty_and_largest_payloads_pass_and_a_larger_one_does_not() -> None:
    a, b = make_pair()
    for size in (0, 1, limits.MAX_PAIRWISE_BYTES):
        letter = a.seal(bytes(size))
        assert len(letter) <= limits.MAX_RECORD_BYTES
        assert b.receive(letter) == bytes(size)
    with pytest.raises(ContentTooLarge):
        a.seal(bytes(limits.MAX_PAIRWISE_BYTES + 1))


@pytest.mark.spec("07.2-2")
def test_an_envelope_shows_a_padded_size_and_nothing_else() -> None:
    a, b = make_pair()
    sizes = {len(a.seal(bytes(size))) for size in range(80)}
    assert len(sizes) == 1
    a.start(b)
    letter = a.seal(b"text of the message")
    shown = (a.me.device, a.me.dh.public, a.me.account, b.me.device, b.me.dh.public)
    assert not [one for one in (*shown, b"text of the") if one in letter]


@pytest.mark.spec("07.2-3")
def test_sealing_gives_the_state_with_the_envelope_and_leaves_the_one_before() -> None:
    a, b = make_pair()
    before = a.held()
    assert before is not None
    kept = pairwise.write_session(before)
    first = a.seal(b"x")
    assert a.held() != before and pairwise.write_session(before) == kept
    # Not yet durable and sealed again: the guard keeps the keys apart, b opens one of the two.
    a.session = before
    second = a.seal(b"y")
    assert b.receive(first) == b"x"
    refuses(b, second, Duplicate)


@pytest.mark.spec("07.2-4")
def test_the_start_rides_until_the_first_answer() -> None:
    a, b = make_ends()
    a.start(b)
    letters = [a.seal(b"%d" % n) for n in range(3)]
    assert all(pairwise.unwrap(b.me, one).first for one in letters)
    assert pairwise.unwrap(b.me, letters[0]).certificate == a.me.certificate
    assert [b.receive(one) for one in reversed(letters)] == [b"2", b"1", b"0"]
    reply = pairwise.unwrap(a.me, b.seal(b"x"))
    assert not reply.first and reply.certificate is None
    a.receive(b.seal(b"y"))
    assert not pairwise.unwrap(b.me, a.seal(b"z")).first


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.spec("07.3-1")
def test_s78_a_padding_that_is_not_zero_is_refused() -> None:
    a, b = make_pair()
    padded = primitives.hpke_open(b.me.dh, envelopes._INFO, b"", a.seal(b"x"))
    with pytest.raises(MalformedFrame):
        pairwise.unwrap(b.me, wrapped(b, padded[:-1] + b"\1"))
    assert b.receive(wrapped(b, padded)) == b"x"


@pytest.mark.spec("07.3-1")
def test_cd01_every_flipped_byte_of_an_envelope_is_refused() -> None:
    a, b = make_pair()
    letter = a.seal(b"x")
    for at in range(len(letter)):
        forged = letter[:at] + bytes((letter[at] ^ 1 << at % 8,)) + letter[at + 1 :]
        with pytest.raises((AuthenticationFailed, BadKey)):
            pairwise.unwrap(b.me, forged)
    for size in (0, 31, 32, 47, len(letter) - 1):
        with pytest.raises(RemoteError):
            pairwise.unwrap(b.me, letter[:size])
    with pytest.raises(MalformedFrame):
        pairwise.unwrap(b.me, bytes(limits.MAX_RECORD_BYTES + 1))
    with pytest.raises(BadKey):  # its size is not what is wrong with it
        pairwise.unwrap(b.me, bytes(limits.MAX_RECORD_BYTES))


@pytest.mark.spec("07.3-1")
def test_s76_another_version_is_refused() -> None:
    a, b = make_pair()
    body = body_of(a, b)
    for version in (0, 2):
        with pytest.raises(UnsupportedVersion):
            pairwise.unwrap(b.me, with_body(a, b, replace(body, version=version)))


@pytest.mark.spec("07.3-2")
def test_cd11_an_envelope_from_the_device_itself_is_refused() -> None:
    a, b = make_pair()
    with pytest.raises(NotAllowed):
        pairwise.unwrap(b.me, with_body(a, b, replace(body_of(a, b), sender=b.me.device)))


@pytest.mark.spec("07.3-3")
def test_a_start_with_another_devices_certificate_is_refused() -> None:
    a, b = make_ends()
    stranger, _ = make_ends(5)
    a.start(b)
    body = body_of(a, b)
    with pytest.raises(AuthenticationFailed):
        pairwise.unwrap(b.me, with_body(a, b, replace(body, sender=stranger.me.device)))


@pytest.mark.spec("07.3-3")
def test_a_certificate_other_than_the_sessions_is_refused() -> None:
    a, b = make_pair()
    a.start(b)
    body = body_of(a, b)
    hello = handshake.read_hello(body.hello or b"")
    other = replace(hello.certificate, device_signature=b"s" * 64)
    changed = replace(body, hello=encode(replace(hello, certificate=other)))
    refuses(b, with_body(a, b, changed), AuthenticationFailed)


@pytest.mark.spec("07.3-4")
def test_s18_a_certificate_that_its_account_did_not_sign_is_refused() -> None:
    a, b = make_ends()
    forged = replace(a.me.certificate, account_signature=b"s" * 64)
    a.me = replace(a.me, certificate=forged)
    a.start(b)
    refuses(b, a.seal(b"x"), AuthenticationFailed)


@pytest.mark.spec("07.3-4", "07.6-3")
def test_without_a_session_a_message_is_no_start_and_not_authentic() -> None:
    a, b = make_pair()
    b.session = None
    letter = a.seal(b"x")
    refuses(b, letter, SessionBroken)
    inner = pairwise.unwrap(b.me, letter)
    pairwise.check_sender(b.me, inner, a.me.certificate)
    with pytest.raises(AuthenticationFailed):
        pairwise.check_sender(b.me, replace(inner, tag=bytes(32)), a.me.certificate)
    with pytest.raises(AuthenticationFailed):
        pairwise.check_sender(b.me, inner, make_ends(5)[0].me.certificate)


@pytest.mark.spec("07.3-5", "07.6-1")
def test_garbage_does_not_count_against_a_session() -> None:
    a, b = make_pair()
    before = b.held()
    mallory, _ = make_ends(5)
    mallory.start(b)
    body = body_of(mallory, b)
    for forged in (
        replace(body, sender=a.me.device, hello=None),
        replace(body, sender=a.me.device, hello=None, channel=body_of(a, b).channel),
    ):
        with pytest.raises(AuthenticationFailed) as raised:
            b.receive(with_body(mallory, b, forged))
        assert raised.type is AuthenticationFailed
    for at in range(0, 140, 11):  # the inner bytes, changed by who could seal to b
        assert not opened(b, resealed(a, b, at))
    assert b.session is before


def test_a_message_reflected_at_its_sender_is_refused() -> None:
    a, b = make_pair()
    body = body_of(a, b)
    inner = primitives.pad(bytes(32) + encode(body))
    with pytest.raises(NotAllowed):
        pairwise.unwrap(a.me, wrapped(a, inner))
    # With the sender's name changed the tag, which names both, does not fit.
    raw = encode(replace(body, sender=b.me.device))
    pair = envelopes.pair_key(a.me, b.me.certificate)
    tag = primitives.mac(pair, "pairwise mac", a.me.device, b.me.device, raw)
    refuses(a, wrapped(a, primitives.pad(tag + raw)), AuthenticationFailed)


def test_a_message_of_another_device_than_the_sessions_is_refused() -> None:
    a, b = make_pair()
    other, _ = make_ends(5)
    other.start(b)
    refuses(b, other.seal(b"x"), NotAllowed)
    with pytest.raises(NotAllowed):
        a.start(other)


def test_replays_are_duplicates_and_cost_nothing() -> None:
    a, b = make_ends()
    a.start(b)
    letters = [a.seal(b"1"), a.seal(b"2")]
    for one in letters:
        b.receive(one)
    a.receive(b.seal(b"x"))
    letters.append(a.seal(b"3"))
    b.receive(letters[2])
    for one in letters:
        refuses(b, one, Duplicate)
    assert isinstance(b.held(), Established)


# --- starts that cross, overtake, repeat ------------------------------------------------------


@pytest.mark.spec("07.4-1")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("lost", list(itertools.product([False, True], repeat=4)))
@pytest.mark.parametrize("before", ["strangers", "replacing"])
def test_cd10_crossing_starts_converge_whatever_is_lost(
    seed: int, lost: tuple[bool, ...], before: str
) -> None:
    a, b = make_pair(seed) if before == "replacing" else make_ends(seed)
    a.start(b)
    b.start(a)
    from_a, from_b = [a.seal(b"a1"), a.seal(b"a2")], [b.seal(b"b1"), b.seal(b"b2")]
    for letter, gone in zip(from_a + from_b, lost, strict=True):
        if not gone:
            end = b if letter in from_a else a
            end.receive(letter)
    for n in range(2):
        assert b.receive(a.seal(b"a%d" % n)) == b"a%d" % n
        assert a.receive(b.seal(b"b%d" % n)) == b"b%d" % n
    assert isinstance(a.held(), Established) and isinstance(b.held(), Established)
    assert a.held().channel.id == b.held().channel.id
    assert a.held().proven and b.held().proven
    # What was only late is delivered still; but the secret a start resumed may be gone by now.
    for letter, gone in zip(from_a + from_b, lost, strict=True):
        if gone:
            end = b if letter in from_a else a
            assert opened(end, letter) or before == "replacing"
    assert isinstance(a.held(), Established) and isinstance(b.held(), Established)
    assert a.held().channel.id == b.held().channel.id


@pytest.mark.spec("07.4-1")
def test_a_start_that_replaces_ours_stays_whatever_the_keys_are() -> None:
    for seed in range(6):
        a, b = make_ends(seed)
        a.start(b)
        b.receive(a.seal(b"x"))  # b has a's start, a does not know it
        b.now += 1
        b.start(a)
        a.receive(b.seal(b"y"))
        assert isinstance(a.held(), Established)
        assert a.held().channel.id == b.held().channel.id
        assert b.receive(a.seal(b"z")) == b"z"
        assert isinstance(b.held(), Established)


@pytest.mark.spec("07.4-1")
def test_of_two_crossing_starts_the_one_that_resumed_nothing_stays() -> None:
    for seed in range(6):
        a, b = make_pair(seed)
        b.session = pairwise.disown(b.held(), b.now)
        a.start(b)
        b.start(a)
        letter = a.seal(b"x")
        with pytest.raises(UnknownResumption):
            b.receive(letter)
        assert isinstance(b.held(), AwaitingReply)  # the answer is under way already
        a.receive(b.seal(b"y"))
        assert isinstance(a.held(), Established) and not a.held().proven
        assert b.receive(a.seal(b"z")) == b"z"


@pytest.mark.spec("07.4-2")
def test_a_repeated_start_is_opened_on_its_channel() -> None:
    a, b = make_ends()
    a.start(b)
    b.receive(a.seal(b"1"))
    used = b.prekeys
    assert b.receive(a.seal(b"2")) == b"2"
    assert b.prekeys == used
    assert not b.last().started


@pytest.mark.spec("07.4-3")
def test_a_start_that_was_kept_back_does_not_come_up_again() -> None:
    a, b = make_pair()
    a.now += 10
    a.start(b)
    kept_back = a.seal(b"old")
    a.now = b.now = a.now + HOUR
    b.start(a)
    a.receive(b.seal(b"x"))
    b.receive(a.seal(b"y"))
    current = b.held().channel.id
    refuses(b, kept_back, Expired)  # what it resumed is gone by now
    assert b.held().channel.id == current
    assert b.receive(a.seal(b"z")) == b"z"


@pytest.mark.spec("07.4-3")
def test_messages_of_a_start_that_was_overtaken_are_delivered_all_the_same() -> None:
    a, b = make_pair()
    a.start(b)
    kept_back, more = a.seal(b"old"), a.seal(b"older")
    a.start(b)
    b.receive(a.seal(b"new"))
    current = b.held().channel.id
    assert [b.receive(kept_back), b.receive(more)] == [b"old", b"older"]
    assert b.held().channel.id == current == a.held().channel.id


def apart(*, proven: bool = True) -> tuple[End, End]:
    """Two ends that know two channels: a is on the one above, b on the one below."""
    a, b = make_pair()
    below = b.held().channel
    a.now = b.now = a.now + HOUR
    a.start(b)
    b.receive(a.seal(b"x"))
    a.receive(b.seal(b"y"))
    high, link = b.held().channel, b.held().link
    others = tuple(one for one in link.retired if one.channel.id != below.id)
    above = Retired(replace(high, proven=proven), int(b.now) + HOUR)
    b.session = Established(replace(link, retired=(above, *others)), below)
    return a, b


@pytest.mark.spec("07.4-1")
@pytest.mark.spec("07.4-5")
@pytest.mark.parametrize("first", ["above", "below"])
def test_two_sides_on_different_channels_end_on_the_one_above(first: str) -> None:
    a, b = apart()
    high, low = a.held().channel.id, b.held().channel.id
    of_a, of_b = a.seal(b"on the one above"), b.seal(b"on the one below")
    if first == "below":
        assert a.receive(of_b) == b"on the one below" and a.held().channel.id == high
    assert b.receive(of_a) == b"on the one above" and b.held().channel.id == high
    if first == "above":
        assert a.receive(of_b) == b"on the one below" and a.held().channel.id == high
    assert b.receive(a.seal(b"1")) == b"1" and a.receive(b.seal(b"2")) == b"2"
    assert low in [one.channel.id for one in b.held().link.retired]
    a.start(b)  # and what b resumes by is known to a
    assert b.receive(a.seal(b"3")) == b"3" and b.held().proven and b.last().started


@pytest.mark.spec("07.4-5")
def test_an_unproven_channel_does_not_come_up_in_the_place_of_a_proven_one() -> None:
    a, b = apart(proven=False)
    low = b.held().channel.id
    assert b.receive(a.seal(b"x")) == b"x"
    assert b.held().channel.id == low and b.held().proven and not b.last().proven


@pytest.mark.spec("07.4-5")
def test_a_wedged_session_is_cured_by_a_message_on_the_channel_above() -> None:
    a, b = apart()
    b.session = pairwise.wedge(b.held(), b.now)
    assert b.receive(a.seal(b"x")) == b"x"
    assert isinstance(b.held(), Established)
    assert a.receive(b.seal(b"y")) == b"y"


@pytest.mark.spec("07.4-5")
def test_the_highest_clock_does_not_end_the_starts() -> None:
    a, b = make_pair()
    b.session = replace(b.held(), channel=replace(b.held().channel, created=2**64 - 1))
    b.start(a)
    assert b.held().created == 2**64 - 1


@pytest.mark.spec("07.4-3")
def test_a_stale_start_that_cannot_be_opened_is_not_answered() -> None:
    a, b = make_ends()
    a.start(b)
    first = a.held()
    b.receive(a.seal(b"x"))
    a.receive(b.seal(b"y"))
    a.session = first
    assert isinstance(first, AwaitingReply)
    raw = encode(replace(handshake.read_hello(first.hello), signed_id=9, resumed=b"????????"))
    a.session = replace(first, hello=raw, channel=replace(first.channel, id=b"????????"))
    refuses(b, a.seal(b"z"), Expired)


def test_a_wrong_clock_costs_a_day() -> None:
    a, b = make_pair()
    right = a.now
    a.now += 365 * 24 * 3600
    a.start(b)
    b.receive(a.seal(b"from the future"))
    a.now, a.session = right, None  # all is lost, and the clock is right again
    a.start(b)
    b.receive(a.seal(b"x"))
    assert b.held().channel.id != a.held().channel.id
    a.now = b.now = right + limits.START_CLOCK_SECONDS + HOUR + 1
    a.start(b)
    b.receive(a.seal(b"y"))
    assert b.held().channel.id == a.held().channel.id


# --- retired channels -------------------------------------------------------------------------


@pytest.mark.spec("07.5-1")
def test_what_was_under_way_on_a_replaced_channel_opens() -> None:
    a, b = make_pair()
    to_b, to_a = a.seal(b"late to b"), b.seal(b"late to a")
    a.start(b)
    start = a.seal(b"new")
    assert a.receive(to_a) == b"late to a"
    assert b.receive(start) == b"new"
    assert b.receive(to_b) == b"late to b"
    assert pairwise.unwrap(a.me, b.seal(b"x")).channel == a.held().channel.id
    refuses(b, to_b, Duplicate)


@pytest.mark.spec("07.5-2")
def test_a_retired_channel_ends_with_its_time() -> None:
    a, b = make_pair()
    late = [a.seal(b"%d" % n) for n in range(2)]
    a.start(b)
    b.receive(a.seal(b"new"))
    b.now += limits.RETIRED_CHANNEL_SECONDS - 1
    b.receive(late[0])
    b.now += 1
    refuses(b, late[1], Expired)
    before = b.held()
    assert before is not None
    b.session = pairwise.prune(before, b.now)
    assert link_of(b).retired == () and len(link_of(b).ended) == 8
    refuses(b, late[1], Expired)


@pytest.mark.spec("07.5-2")
def test_only_the_newest_retired_channels_are_kept() -> None:
    a, b = make_pair()
    late = [b.seal(b"0")]
    for n in range(1, 13):
        a.start(b)
        b.receive(a.seal(b"x"))
        late.append(b.seal(b"%d" % n))
    a.receive(late[12])
    assert len(link_of(a).retired) == limits.MAX_RETIRED_CHANNELS
    assert a.receive(late[9]) == b"9"
    for n in range(1, 9):  # as many as are known to have ended
        refuses(a, late[n], Expired)
    refuses(a, late[0], SessionBroken)


def test_old_skipped_keys_go_with_time_alone() -> None:
    a, b = make_pair()
    a.seal(b"lost")
    b.receive(a.seal(b"x"))
    a.start(b)
    b.receive(a.seal(b"y"))
    a.seal(b"lost")
    b.receive(a.seal(b"z"))
    assert b.held().channel.ratchet.skipped and link_of(b).retired[0].channel.ratchet.skipped
    assert pairwise.prune(b.held(), b.now) == b.held()
    b.now += limits.SKIPPED_SECONDS
    pruned = pairwise.prune(b.held(), b.now)
    assert not pruned.channel.ratchet.skipped and not pruned.link.retired


def test_old_skipped_keys_of_a_retired_channel_go_before_it_does() -> None:
    a, b = make_pair()
    a.seal(b"lost")
    b.receive(a.seal(b"x"))
    b.now += 3600
    a.start(b)
    b.receive(a.seal(b"y"))
    b.now += limits.SKIPPED_SECONDS - 3600
    (before,) = link_of(b).retired
    (after,) = pairwise.prune(b.held(), b.now).link.retired
    assert before.channel.ratchet.skipped and not after.channel.ratchet.skipped


def test_a_failure_on_a_retired_channel_is_not_the_sessions_fault() -> None:
    a, b = make_pair()
    old = a.held()
    a.start(b)
    b.receive(a.seal(b"x"))
    new, a.session = a.held(), old
    for _ in range(limits.MAX_SESSION_JUMP + 1):
        chain = ratchet.seal(a.held().channel.ratchet, b"", b"", now=a.now, entropy=a.entropy)[0]
        a.session = replace(a.held(), channel=replace(a.held().channel, ratchet=chain))
    refuses(b, a.seal(b"far"), Expired)
    a.session = new
    assert b.receive(a.seal(b"y")) == b"y"


# --- recovery ---------------------------------------------------------------------------------


def break_channel(end: End) -> None:
    """Make the current channel of this end unable to open anything new."""
    state = end.held().channel.ratchet
    broken = replace(state, root=bytes(32), receiving=None if state.own else state.receiving)
    if broken.receiving is not None:
        broken = replace(broken, receiving=Chain(bytes(32), broken.receiving.number))
    end.session = replace(end.held(), channel=replace(end.held().channel, ratchet=broken))


def test_a_broken_session_is_wedged_and_replaced_by_a_resumed_start() -> None:
    a, b = make_pair()
    b.receive(a.seal(b"x"))
    break_channel(b)
    letter = a.seal(b"lost")
    refuses(b, letter, SessionBroken)
    with pytest.raises(SessionBroken):
        b.receive(letter)
    wedged = b.held()
    assert isinstance(wedged, Wedged) and wedged.since == int(b.now)
    with pytest.raises(SessionWedged):
        b.seal(b"x")
    assert b.held().peer == a.me.certificate and b.held().proven and b.held().created
    assert pairwise.may_reset(b.held(), b.now)
    b.start(a)
    assert a.receive(b.seal(b"again")) == b"again"
    assert a.last().started and a.last().proven
    assert b.receive(a.seal(b"lost, sent again")) == b"lost, sent again"


def test_a_wedged_session_still_opens_what_it_can() -> None:
    a, b = make_pair()
    b.session = pairwise.wedge(b.held(), b.now)
    assert pairwise.wedge(b.held(), b.now + 1) is b.held()
    assert b.receive(a.seal(b"x")) == b"x"
    assert isinstance(b.held(), Wedged)
    a.start(b)
    b.receive(a.seal(b"y"))
    assert isinstance(b.held(), Established)


@pytest.mark.spec("07.6-2")
def test_a_replacement_waits_an_hour_after_the_last_start() -> None:
    a, b = make_pair()
    assert not pairwise.may_reset(a.held(), a.now + HOUR - 1)
    assert pairwise.may_reset(a.held(), a.now + HOUR)
    assert pairwise.may_reset(b.held(), b.now)  # it never started
    b.start(a)
    assert not pairwise.may_reset(b.held(), b.now + HOUR - 1)
    assert pairwise.may_reset(pairwise.wedge(b.held(), b.now + HOUR), b.now + HOUR)


def test_what_counts_against_a_session() -> None:
    a, b = make_pair()
    session = a.held()
    b.start(a)
    inner = pairwise.unwrap(a.me, b.seal(b"x"))

    def judged(error: RemoteError) -> Session:
        return pairwise.judge(session, inner, error, a.now + HOUR)

    harmless: tuple[RemoteError, ...] = (
        Duplicate("x"),
        Expired("x"),
        MalformedFrame("x"),
        AuthenticationFailed("x"),
        BadKey("x"),
        UnknownPrekey("x"),
    )
    for error in harmless:
        assert judged(error) is session
    assert isinstance(judged(SessionBroken("x")), Wedged)
    assert isinstance(judged(TooFarAhead("x")), Wedged)
    assert link_of(a).heard < b.held().created
    disowned = judged(UnknownResumption("x"))
    assert disowned.link.heard == b.held().created
    assert isinstance(disowned, Wedged) and not disowned.proven
    assert (disowned.link.named, disowned.link.shown, disowned.link.sent) == (None, None, ())


def test_an_own_start_that_the_peer_could_not_open_does_not_stay_for_what_resumes_the_unknown() -> (
    None
):
    a, b = make_ends()
    a.start(b)
    b.prekeys = handshake.replaced(b.prekeys, now=b.now, entropy=b.entropy)
    first = a.seal(b"x")
    assert not opened(b, first)
    b.start(a)  # b has no session, and resumes nothing
    link = replace(link_of(b), named=bytes(32))
    b.session = replace(b.held(), link=link)
    b.start(a)
    resuming = b.seal(b"y")
    assert not opened(a, resuming)  # a waits: its start resumes nothing, b may open it
    assert isinstance(a.held(), AwaitingReply) and link_of(a).heard == b.held().created
    b.start(a, refused=pairwise.unwrap(b.me, first).channel)
    assert not opened(a, b.seal(b"z"))  # but b says that it could not
    assert isinstance(a.held(), Wedged)
    a.now = a.now + HOUR
    b.pool.clear()
    a.start(b)
    assert b.receive(a.seal(b"at last")) == b"at last"
    assert a.held().channel.id == b.held().channel.id


def test_cd03_a_session_that_lost_too_much_is_wedged() -> None:
    a, b = make_pair()
    state = a.held().channel.ratchet
    for _ in range(limits.MAX_SESSION_JUMP + 1):
        state, _, _ = ratchet.seal(state, b"", b"", now=a.now, entropy=a.entropy)
    a.session = replace(a.held(), channel=replace(a.held().channel, ratchet=state))
    with pytest.raises(TooFarAhead):
        b.receive(a.seal(b"x"))
    assert isinstance(b.held(), Wedged)


def test_cd16_an_exhausted_channel_is_replaced() -> None:
    a, b = make_pair()
    a.seal(b"x")
    state = a.held().channel.ratchet
    assert state.sending is not None
    state = replace(state, sending=Chain(state.sending.key, limits.MAX_ITERATION))
    a.session = replace(a.held(), channel=replace(a.held().channel, ratchet=state))
    with pytest.raises(Exhausted):
        a.seal(b"y")
    a.start(b)
    assert b.receive(a.seal(b"y")) == b"y"
    assert b.last().proven


def test_a_channel_that_is_not_known_wedges_unless_a_start_is_under_way() -> None:
    a, b = make_pair()
    a.session = replace(a.held(), channel=replace(a.held().channel, id=b"unknown!"))
    letter = a.seal(b"x")
    refuses(b, letter, SessionBroken)
    b.start(a)
    refuses(b, letter, Expired)


# --- proven and unproven ----------------------------------------------------------------------


def robbed(end: End) -> End:
    """A thief with the identity keys of this device, and none of its state."""
    thief, _ = make_ends(77)
    thief.me, thief.person, thief.prekeys = end.me, end.person, end.prekeys
    return thief


@pytest.mark.spec("07.7-1", "07.7-3")
@pytest.mark.spec("07.4-4")
def test_a_thief_of_identity_keys_gets_an_unproven_channel() -> None:
    a, b = make_pair()
    b.receive(a.seal(b"x"))
    thief = robbed(a)
    thief.now += 1
    thief.start(b)
    b.receive(thief.seal(b"tell me everything"))
    assert b.last().started and not b.last().proven
    assert b.held().proven  # a start that proves and replaces nothing only receives (07.4)
    assert a.receive(b.seal(b"for the device that answered")) == b"for the device that answered"
    b.receive(thief.seal(b"please"))
    assert not b.last().proven and not b.last().started


@pytest.mark.spec("07.7-2")
def test_the_real_device_can_still_resume_after_a_thief_came() -> None:
    a, b = make_pair()
    b.receive(a.seal(b"x"))
    thief = robbed(a)
    thief.now += 1
    thief.start(b)
    for _ in range(3):
        b.receive(thief.seal(b"x"))
        assert a.receive(b.seal(b"y")) == b"y"
    assert b.receive(a.seal(b"on the old channel")) == b"on the old channel"
    assert b.last().proven
    a.now += 2
    a.start(b)
    assert b.receive(a.seal(b"it is me")) == b"it is me"
    assert b.held().proven


@pytest.mark.spec("07.7-2")
def test_a_start_from_an_unproven_session_resumes_the_proven_time() -> None:
    a, b = make_pair()
    b.receive(a.seal(b"x"))
    thief = robbed(a)
    thief.start(b)
    b.receive(thief.seal(b"x"))
    b.now += 1
    b.start(a)
    letter = b.seal(b"who are you?")
    assert b.held().proven
    with pytest.raises(UnknownResumption):
        thief.receive(letter)
    assert a.receive(letter) == b"who are you?"
    assert a.last().proven


def test_a_restored_device_is_unproven_until_it_is_accepted() -> None:
    a, b = make_pair()
    old = pairwise.write_session(a.held())
    for _ in range(5):
        b.receive(a.seal(b"x"))
        a.receive(b.seal(b"y"))
    a.session = pairwise.read_session(old)
    a.now = b.now = a.now + HOUR
    a.start(b)  # names a secret that b has long replaced
    with pytest.raises(UnknownResumption):
        b.receive(a.seal(b"x"))
    assert isinstance(b.held(), Wedged)
    b.start(a)
    assert not b.held().proven
    a.receive(b.seal(b"who is there?"))
    assert isinstance(a.held(), Established) and not a.held().proven
    b.receive(a.seal(b"me, restored"))
    assert isinstance(b.held(), Established) and not b.held().proven
    for end in (a, b):
        end.session = pairwise.accept(end.held())
        assert end.held().proven
        assert pairwise.accept(end.held()) is end.held()
    a.receive(b.seal(b"hello again"))
    b.receive(a.seal(b"hello"))
    a.receive(b.seal(b"now secrets are shared"))
    b.start(a)
    a.receive(b.seal(b"resumed"))
    assert a.last().started and a.last().proven
    assert a.held().channel.resumed


@pytest.mark.spec("07.4-4")
def test_a_device_that_lost_everything_comes_back_when_it_is_accepted() -> None:
    a, b = make_pair()
    b.receive(a.seal(b"x"))
    a.session = None
    a.now += 60
    a.start(b)
    assert b.receive(a.seal(b"I lost everything")) == b"I lost everything"
    b.session = pairwise.accept(b.held())
    assert b.held().proven
    assert a.receive(b.seal(b"welcome back")) == b"welcome back"
    assert b.receive(a.seal(b"thanks")) == b"thanks"
    assert pairwise.accept(b.held()) is b.session


@pytest.mark.spec("07.6-6")
def test_who_hears_a_channel_it_forgot_begins_again_and_says_so() -> None:
    a, b = make_pair()
    b.receive(a.seal(b"x"))
    a.session = None
    a.now += 60
    a.start(b)
    b.receive(a.seal(b"I know nobody"))
    with pytest.raises(SessionBroken):
        a.receive(b.seal(b"on the old channel"))
    assert isinstance(a.held(), Wedged) and a.held().link.lost
    a.start(b)
    b.receive(a.seal(b"I knew you"))
    assert a.receive(b.seal(b"welcome back")) == b"welcome back"
    assert not a.held().link.lost


@pytest.mark.spec("07.6-6")
@pytest.mark.parametrize("known", ["lost", "heard", "answered"])
def test_only_a_first_start_is_made_anew_for_a_channel_not_known(known: str) -> None:
    a, b = make_pair()
    b.receive(a.seal(b"x"))
    late = b.seal(b"on the old channel")
    a.session = None
    a.start(b)
    if known == "answered":
        b.session = None
        b.receive(a.seal(b"x"))
        a.receive(b.seal(b"y"))
    else:
        link = a.held().link
        link = replace(link, lost=True) if known == "lost" else replace(link, heard=1)
        a.session = replace(a.held(), link=link)
    with pytest.raises(SessionBroken if known == "answered" else Expired):
        a.receive(late)
    assert a.held().link.lost == (known == "lost")


def set_back(end: End, old: bytes) -> None:
    """The end has this old session again, and knows that it is old (12.6)."""
    end.session = pairwise.forget(pairwise.read_session(old), end.now)
    end.prekeys = handshake.replaced(end.prekeys, now=end.now, entropy=end.entropy)
    end.pool.clear()


def long_talk() -> tuple[End, End, bytes]:
    """A pair, and what a held before they went on with another channel and many steps."""
    a, b = make_pair()
    old = pairwise.write_session(a.held())
    for one, other in ((b, a), (a, b)):
        one.start(other)
        for _ in range(3):
            other.receive(one.seal(b"x"))
            one.receive(other.seal(b"y"))
    return a, b, old


@pytest.mark.spec("07.6-4")
@pytest.mark.parametrize("wrong", [-1800, 0, 60])
def test_the_start_of_a_restored_device_is_answered_within_the_hour(wrong: int) -> None:
    a, b, old = long_talk()
    set_back(a, old)
    a.now += wrong
    a.start(b)
    first, again = a.seal(b"what was I?"), a.seal(b"hello?")
    with pytest.raises(UnknownResumption):
        b.receive(first)
    assert isinstance(b.held(), Wedged) and not b.held().proven
    for letter in (first, again):  # it is answered once
        refuses(b, letter, Expired)
    b.start(a)
    assert a.receive(b.seal(b"who are you?")) == b"who are you?"
    assert b.receive(a.seal(b"I was restored")) == b"I was restored"
    assert a.held().channel.id == b.held().channel.id
    assert not a.held().proven and not b.held().proven
    assert not link_of(a).lost


@pytest.mark.spec("07.6-4")
def test_a_device_that_did_not_notice_learns_it_from_what_the_peer_names() -> None:
    a, b = make_pair()
    old, prekeys = pairwise.write_session(a.held()), a.prekeys
    for _ in range(3):
        b.receive(a.seal(b"x"))
        a.receive(b.seal(b"y"))
    a.pool.clear()
    b.start(a)
    letter = b.seal(b"to the life that is lost")
    a.receive(letter)
    b.receive(a.seal(b"of the life that is lost"))
    a.session, a.prekeys = pairwise.read_session(old), prekeys
    with pytest.raises(UnknownResumption):
        a.receive(letter)
    assert link_of(a).lost
    a.start(b)
    assert b.receive(a.seal(b"I lost something")) == b"I lost something"
    assert a.receive(b.seal(b"so I see")) == b"so I see"
    assert a.held().channel.id == b.held().channel.id and not link_of(a).lost


@pytest.mark.spec("07.6-4")
def test_a_restored_device_says_so_until_it_is_answered() -> None:
    a, b, old = long_talk()
    set_back(a, old)
    for _ in range(12):  # more starts than ids of channels have room
        a.now = b.now = a.now + 60
        a.start(b)
        assert bytes(8) in replaced_by(b, a.seal(b"x"))
        assert len(replaced_by(b, a.seal(b"x"))) <= 12
    a.session = pairwise.read_session(pairwise.write_session(a.held()))
    assert link_of(a).lost
    # It lost nothing that b would not resume: what it names is held still.
    a, b = make_pair()
    set_back(a, pairwise.write_session(a.held()))
    a.start(b)
    assert b.receive(a.seal(b"x")) == b"x" and b.held().proven
    a.receive(b.seal(b"y"))
    a.start(b)
    assert bytes(8) not in replaced_by(b, a.seal(b"x"))


def test_a_restored_device_that_takes_the_peers_start_says_no_more_that_it_lost_something() -> None:
    a, b, old = long_talk()
    set_back(a, old)
    b.session = pairwise.disown(b.held(), b.now)
    b.start(a)
    a.receive(b.seal(b"x"))
    a.start(b)
    assert bytes(8) not in replaced_by(b, a.seal(b"y"))


def replaced_by(recipient: End, letter: bytes) -> list[bytes]:
    """The ids that the start in a letter names."""
    hello = pairwise.unwrap(recipient.me, letter).hello
    assert hello is not None
    return [hello.replaces[at : at + 8] for at in range(0, len(hello.replaces), 8)]


@pytest.mark.spec("07.6-5")
def test_a_start_of_a_restored_device_that_was_answered_harms_nothing_when_it_is_repeated() -> None:
    a, b, old = long_talk()
    set_back(a, old)
    a.now += 1800  # its clock is fast: the answer has to be above it all the same
    a.start(b)
    first = a.seal(b"what was I?")
    assert not opened(b, first)
    b.start(a)
    a.receive(b.seal(b"x"))
    b.receive(a.seal(b"y"))
    for end in (a, b):
        end.session = pairwise.accept(end.held())
    before = b.held()
    for _ in range(3):
        refuses(b, first, Expired)
        assert not opened(b, first) and b.held() is before
    assert before.proven and isinstance(before, Established)


@pytest.mark.spec("07.4-1")
@pytest.mark.parametrize("late", [False, True])
def test_two_restored_devices_end_on_one_channel(*, late: bool) -> None:
    for seed in range(4):
        a, b = make_pair(seed)
        olds = [(end, pairwise.write_session(end.held())) for end in (a, b)]
        for _ in range(3):
            b.receive(a.seal(b"x"))
            a.receive(b.seal(b"y"))
        for end, old in olds:
            set_back(end, old)
        for _ in range(2):  # the first starts resume what neither holds
            a.start(b)
            b.start(a)
            to_b, to_a = a.seal(b"a"), b.seal(b"b")
            opened(b, to_b)
            if late:
                opened(b, a.seal(b"aa"))
            opened(a, to_a)
            a.now = b.now = a.now + HOUR
        assert b.receive(a.seal(b"x")) == b"x"
        assert a.receive(b.seal(b"y")) == b"y"
        assert a.held().channel.id == b.held().channel.id
        assert not link_of(a).lost and not link_of(b).lost


@pytest.mark.spec("07.4-1")
def test_the_answer_to_a_start_that_cannot_be_opened_stays() -> None:
    for seed in range(6):
        a, b = make_ends(seed)
        a.start(b)
        b.prekeys = handshake.replaced(b.prekeys, now=b.now, entropy=b.entropy)
        letter = a.seal(b"x")
        with pytest.raises(UnknownPrekey):
            b.receive(letter)
        a.pool.clear()
        b.start(a, refused=pairwise.unwrap(b.me, letter).channel)
        a.receive(b.seal(b"y"))
        assert b.receive(a.seal(b"z")) == b"z"


@pytest.mark.spec("07.7-1")
def test_a_peer_that_never_answered_need_not_resume() -> None:
    a, b = make_ends()
    a.start(b)
    b.receive(a.seal(b"x"))
    b.seal(b"lost")
    a.now += HOUR
    a.start(b)
    b.receive(a.seal(b"y"))
    assert b.last().started and b.last().proven


# --- what is stored ---------------------------------------------------------------------------


@pytest.mark.spec("07.8-1")
def test_a_session_survives_being_written_in_every_state() -> None:
    a, b = make_ends()
    sessions: list[Session] = []
    a.start(b)
    sessions.append(a.held())
    b.receive(a.seal(b"x"))
    a.seal(b"lost")
    b.receive(a.seal(b"y"))
    a.receive(b.seal(b"z"))
    sessions += [a.held(), b.held(), pairwise.wedge(b.held(), b.now)]
    b.start(a)
    sessions.append(b.held())
    for one in sessions:
        raw = pairwise.write_session(one)
        assert pairwise.read_session(raw) == one
        assert type(pairwise.read_session(raw)) is type(one)
        assert "root=" not in repr(one) and "pair=" not in repr(one)
    a.restart()
    b.restart()
    assert a.receive(b.seal(b"after")) == b"after"


def test_a_stored_session_is_small() -> None:
    a, b = make_pair()
    for _ in range(10):
        b.receive(a.seal(b"x"))
        a.receive(b.seal(b"y"))
    for end in (a, b):
        assert len(pairwise.write_session(end.held())) < 800
    a.start(b)
    b.receive(a.seal(b"z"))
    assert len(pairwise.write_session(b.held())) < 1_400
    assert len(pairwise.write_session(a.held())) < 3_000


@pytest.mark.parametrize("raw", [b"", b"\3", b"\0\x90", b"\xff" * 100])
def test_bytes_that_are_no_session_are_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedFrame):
        pairwise.read_session(raw)
