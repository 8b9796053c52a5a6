"""Sessions: what each side holds after each rule, and where the rules end (spec 07.4-07.7)."""

from dataclasses import replace
from typing import Any

import pytest

from groupcrypt.errors import (
    Expired,
    RemoteError,
    SessionBroken,
    UnknownPrekey,
    UnknownResumption,
)
from groupcrypt.protocol import handshake, limits, pairwise
from groupcrypt.protocol.pairwise import AwaitingReply, Established, Session, Wedged
from groupcrypt.protocol.pairwise.session import Link, Retired, ids
from groupcrypt.protocol.wire import encode
from groupcrypt.testing.pair import End, make_ends, make_pair

HOUR = limits.SESSION_RESET_SECONDS


def link_of(end: End) -> Link:
    return end.held().link


def with_link(end: End, **changes: Any) -> None:
    end.session = replace(end.held(), link=replace(link_of(end), **changes))


def unproven(end: End) -> None:
    end.session = replace(end.held(), channel=replace(end.held().channel, proven=False))


def talk(a: End, b: End, rounds: int = 1) -> None:
    for _ in range(rounds):
        b.receive(a.seal(b"x"))
        a.receive(b.seal(b"y"))


def forgetful(end: End, **changes: Any) -> None:
    """The end does not know its current channel and has another in its place."""
    channel = replace(end.held().channel, id=b"another!")
    end.session = replace(end.held(), channel=channel, link=replace(link_of(end), **changes))


# --- what is held -----------------------------------------------------------------------------


def test_the_times_of_a_link_are_of_what_happened() -> None:
    a, b = make_ends()
    a.start(b)
    assert (link_of(a).heard, link_of(a).started, link_of(a).answered) == (0, int(a.now), 0)
    b.now += 5
    b.receive(a.seal(b"x"))
    link = link_of(b)
    assert (link.heard, link.started, link.answered) == (int(a.now), 0, 0)
    a.now += 9
    a.receive(b.seal(b"y"))
    assert (link_of(a).heard, link_of(a).answered) == (int(a.now) - 9, int(a.now))
    a.now += 9
    b.receive(a.seal(b"x"))
    a.receive(b.seal(b"y"))
    assert link_of(a).answered == int(a.now) - 9  # only the first answer


def test_ids_stand_one_behind_the_other() -> None:
    assert ids(b"") == []
    assert ids(b"a" * 8 + b"b" * 8) == [b"a" * 8, b"b" * 8]


def test_a_start_names_as_many_channels_as_have_room() -> None:
    a, b = make_pair()
    for _ in range(12):
        a.start(b)
    a.start(b, refused=b"refused!")
    hello = pairwise.unwrap(b.me, a.seal(b"x")).hello
    assert hello is not None
    assert len(ids(hello.replaces)) == 12 and hello.replaces.startswith(b"refused!")


def test_two_channels_that_end_at_once_are_both_remembered() -> None:
    a, b = make_pair()
    late = []
    for _ in range(2):
        late.append(a.seal(b"late"))
        a.start(b)
        talk(a, b)
    b.now += limits.RETIRED_CHANNEL_SECONDS
    for letter in late:
        with pytest.raises(Expired):
            b.receive(letter)


def test_a_session_with_all_that_it_may_keep_is_read_again() -> None:
    a, b = make_pair()
    for _ in range(4):
        a.start(b)
        b.receive(a.seal(b"x"))
        a.receive(b.seal(b"y"))
        for _ in range(limits.MAX_SKIPPED_PER_SESSION):
            a.seal(b"lost")
        b.receive(a.seal(b"z"))
    assert len(link_of(b).retired) == limits.MAX_RETIRED_CHANNELS
    raw = pairwise.write_session(b.held())
    assert len(raw) > limits.MAX_RECORD_BYTES
    assert pairwise.read_session(raw) == b.held()


# --- resumption secrets -----------------------------------------------------------------------


def test_a_step_makes_one_secret_however_many_messages_it_has() -> None:
    a, b = make_pair()
    for _ in range(3):
        a.seal(b"x")
    assert link_of(a).sent == (a.held().channel.ratchet.resumption,)
    unproven(b)
    sent = link_of(b).sent
    b.receive(a.seal(b"x"))
    b.seal(b"a step on a channel that is not proven")
    assert link_of(b).sent == sent


def test_a_resumed_start_shows_the_secret_and_ends_those_before() -> None:
    a, b = make_pair()
    sent = tuple(bytes([n]) * 32 for n in (3, 2, 1))
    for secret, newer in ((sent[0], ()), (sent[1], sent[:1]), (sent[2], sent[:2])):
        with_link(b, sent=sent, shown=bytes(32))
        with_link(a, named=secret)
        a.start(b)
        b.receive(a.seal(b"x"))
        assert (link_of(b).shown, link_of(b).sent) == (secret, newer)
    with_link(b, sent=sent, shown=bytes(32))
    with_link(a, named=bytes(32))
    a.start(b)
    b.receive(a.seal(b"x"))
    assert (link_of(b).shown, link_of(b).sent) == (bytes(32), sent)


# --- the clocks of starts ---------------------------------------------------------------------


@pytest.mark.parametrize("proven", [True, False])
def test_a_start_is_above_the_proven_channels_that_retired(*, proven: bool) -> None:
    a, b = make_pair()
    channel = replace(a.held().channel, created=int(a.now) + 50, proven=proven)
    with_link(a, retired=(Retired(channel, int(a.now) + HOUR),), heard=0)
    a.start(b)
    assert a.held().created == int(a.now) + (51 if proven else 1)


def test_a_start_of_a_proven_session_is_proven_without_a_secret() -> None:
    a, b = make_ends()
    a.start(b)
    a.start(b)
    assert a.held().proven and link_of(a).named is None
    unproven(a)
    a.start(b)
    assert not a.held().proven


def late_start(a: End, b: End, wait: int, **changes: Any) -> bytes:
    """A first message of a device that does not know the current channel."""
    forgetful(a, retired=(), ended=b"", **changes)
    a.now = max(link_of(b).heard, link_of(b).answered) + wait
    a.start(b)
    return a.seal(b"late")


@pytest.mark.parametrize("wait", [HOUR, HOUR + 1])
@pytest.mark.parametrize("error", [UnknownPrekey, UnknownResumption])
def test_the_hour_of_those_who_do_not_know_the_channel(wait: int, error: type[RemoteError]) -> None:
    a, b = make_pair()
    talk(a, b)
    letter = late_start(a, b, wait, named=bytes(32))
    if error is UnknownPrekey:
        session = a.held()
        assert isinstance(session, AwaitingReply)
        hello = replace(handshake.read_hello(session.hello), signed_id=99, resumed=None)
        a.session = replace(session, hello=encode(hello))
        letter = a.seal(b"late")
    with pytest.raises(RemoteError) as raised:
        b.receive(letter)
    assert raised.type is (Expired if wait == HOUR else error)


def test_nobody_is_late_for_a_channel_that_was_not_answered_or_is_not_proven() -> None:
    a, b = make_pair()
    talk(a, b)
    letter = late_start(a, b, 60, named=bytes(32))
    unproven(b)
    with pytest.raises(UnknownResumption):
        b.receive(letter)
    a, b = make_pair()
    talk(a, b)
    letter = late_start(a, b, 60, named=bytes(32))
    b.start(a)
    with pytest.raises(UnknownResumption):
        b.receive(letter)


# --- what an unproven start may not do --------------------------------------------------------


def test_a_start_that_proves_itself_is_never_late() -> None:
    a, b = make_pair()
    talk(a, b)
    b.receive(late_start(a, b, 60))
    assert b.last().proven and b.held().channel.id == a.held().channel.id


@pytest.mark.spec("07.4-4")
@pytest.mark.parametrize("wait", [60, HOUR + 1])
def test_a_start_that_names_no_channel_only_receives_however_late(wait: int) -> None:
    a, b = make_pair()
    talk(a, b)
    before = b.held().channel.id
    a.session = None
    a.now = link_of(b).heard + wait
    a.start(b)
    b.receive(a.seal(b"x"))
    assert not b.last().proven and b.held().channel.id == before
    unproven(b)
    a.session = None
    a.now += 1
    a.start(b)
    b.receive(a.seal(b"x"))
    assert b.held().channel.id == a.held().channel.id  # there is nothing proven to push out


@pytest.mark.spec("07.4-4")
@pytest.mark.parametrize("wait", [HOUR, HOUR + 1])
def test_a_start_that_names_another_channel_takes_the_place_after_an_hour(wait: int) -> None:
    a, b = make_pair()
    talk(a, b)
    b.receive(late_start(a, b, wait, named=None))
    assert not b.last().proven
    assert (b.held().channel.id == a.held().channel.id) == (wait > HOUR)


# --- channels that come up --------------------------------------------------------------------


def with_three(end: End) -> tuple[Retired, Retired, Retired]:
    """Three retired channels in a row, all below the current one; the middle one can open."""
    middle = Retired(end.held().channel, int(end.now) + HOUR)
    first, last = (
        replace(middle, channel=replace(middle.channel, id=name * 8)) for name in (b"f", b"l")
    )
    current = replace(middle.channel, id=b"c" * 8, created=middle.channel.created + 9)
    end.session = Established(replace(link_of(end), retired=(first, middle, last)), current)
    return first, middle, last


def test_a_message_on_a_retired_channel_leaves_the_others() -> None:
    a, b = make_pair()
    first, middle, last = with_three(b)
    b.receive(a.seal(b"x"))
    assert [one.channel.id for one in link_of(b).retired] == [
        one.channel.id for one in (first, middle, last)
    ]
    assert link_of(b).retired[1].channel.ratchet != middle.channel.ratchet
    assert (link_of(b).retired[0], link_of(b).retired[2]) == (first, last)


def test_a_channel_that_comes_up_changes_places_with_the_current_one() -> None:
    a, b = make_pair()
    first, middle, last = with_three(b)
    letters = a.seal(b"one"), a.seal(b"two")
    b.receive(letters[0])
    advanced = link_of(b).retired[1].channel  # it made the step, below the current one
    low = replace(b.held().channel, created=middle.channel.created - 1)
    b.session = replace(b.held(), channel=low, link=replace(link_of(b), named=None))
    b.receive(letters[1])
    assert b.held().channel.id == middle.channel.id
    assert [one.channel.id for one in link_of(b).retired] == [
        b"c" * 8,
        first.channel.id,
        last.channel.id,
    ]
    assert link_of(b).named == advanced.ratchet.resumption


# --- what counts, and who accepts -------------------------------------------------------------


def test_a_session_that_waits_for_nothing_is_disowned() -> None:
    a, b = make_pair()
    b.session = None
    b.start(a)
    inner = pairwise.unwrap(a.me, b.seal(b"x"))  # it names no channel

    def judged(session: Session) -> Session:
        return pairwise.judge(session, inner, UnknownResumption("x"), a.now + 1)

    wedged = judged(a.held())
    assert isinstance(wedged, Wedged) and not wedged.proven and wedged.since == int(a.now) + 1
    a.start(b)
    assert a.held().channel.resumed and isinstance(judged(a.held()), Wedged)
    with_link(a, named=None)
    a.start(b)
    assert isinstance(judged(a.held()), AwaitingReply) and judged(a.held()).proven


SECRETS = {"named": bytes(32), "shown": bytes(32), "sent": (bytes(32),)}


def test_who_is_accepted_begins_without_the_secrets_of_before() -> None:
    a, _ = make_pair()
    with_link(a, **SECRETS)
    assert pairwise.accept(a.held()) is a.held()
    unproven(a)
    session = pairwise.accept(a.held())
    link = session.link
    assert session.proven and (link.named, link.shown, link.sent) == (None, None, ())


@pytest.mark.parametrize("later", [-1, 0, 1])
def test_a_later_channel_that_waited_takes_the_place_when_it_is_accepted(later: int) -> None:
    a, _ = make_pair()
    first, middle, last = with_three(a)
    current = a.held().channel
    waiting = replace(middle.channel, proven=False, created=current.created + later)
    with_link(a, retired=(first, Retired(waiting, 77), last), **SECRETS)
    session = pairwise.accept(a.held())
    if later <= 0:
        assert session is a.held()
        return
    assert session.channel == replace(waiting, proven=True)
    link = session.link
    assert link.retired == (Retired(current, 77), first, last)
    assert (link.named, link.shown, link.sent) == (None, None, ())


@pytest.mark.spec("07.3-6")
def test_a_header_of_an_older_copy_wedges_the_session() -> None:
    """It says that it sent less than was opened here: else it would be refused, and never heal."""
    a, b = make_pair()
    b.receive(a.seal(b"one"))
    copy = a.held()
    b.receive(a.seal(b"two"))
    envelope = b.seal(b"three")
    a.session = copy
    a.receive(envelope)
    with pytest.raises(SessionBroken):
        b.receive(a.seal(b"four"))
    assert isinstance(b.session, Wedged)
