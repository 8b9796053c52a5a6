"""The Double Ratchet of one channel (spec 06)."""

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest

from groupcrypt.errors import (
    AuthenticationFailed,
    BadKey,
    Duplicate,
    Exhausted,
    Expired,
    MalformedFrame,
    RemoteError,
    TooFarAhead,
)
from groupcrypt.protocol import limits, primitives, ratchet
from groupcrypt.protocol.primitives import DhPrivate, KemPrivate
from groupcrypt.protocol.ratchet import Chain, Header, Ratchet, messages
from groupcrypt.protocol.wire import decode, encode
from groupcrypt.testing.entropy import SeededEntropy

NOW = 1_800_000_000.0
AD = b"who and where"
Message = tuple[bytes, bytes]


@dataclass
class Side:
    """One side of a channel, as a caller of the module keeps it."""

    state: Ratchet
    entropy: SeededEntropy
    now: float = NOW

    def seal(self, plaintext: bytes) -> Message:
        self.state, header, ciphertext = ratchet.seal(
            self.state, plaintext, AD, now=self.now, entropy=self.entropy
        )
        return header, ciphertext

    def open(self, message: Message) -> bytes:
        self.state, plaintext = ratchet.open_message(self.state, *message, AD, now=self.now)
        return plaintext

    def refuses(self, message: Message, error: type[RemoteError], ad: bytes = AD) -> None:
        before = encode(self.state)
        with pytest.raises(RemoteError) as raised:
            ratchet.open_message(self.state, *message, ad, now=self.now)
        assert raised.type is error
        assert encode(self.state) == before


def sides(seed: int = 0) -> tuple[Side, Side]:
    entropy = SeededEntropy(seed)
    root, signed = entropy(32), DhPrivate.generate(entropy)
    a = Side(ratchet.initiator(root, signed.public, NOW), entropy.fork("a"))
    b = Side(ratchet.responder(root, signed, NOW), entropy.fork("b"))
    return a, b


def talking(seed: int = 0) -> tuple[Side, Side]:
    """After one message each way."""
    a, b = sides(seed)
    assert b.open(a.seal(b"1")) == b"1"
    assert a.open(b.seal(b"2")) == b"2"
    return a, b


def header_of(message: Message) -> Header:
    return decode(Header, message[0])


def with_header(message: Message, **changes: Any) -> Message:
    return encode(replace(header_of(message), **changes)), message[1]


# --- steps ------------------------------------------------------------------------------------


@pytest.mark.spec("06.2-1")
def test_every_own_step_has_a_fresh_key_and_forgets_the_one_before() -> None:
    a, b = talking()
    seen: set[bytes] = set()
    for _ in range(5):
        message = a.seal(b"x")
        seen.add(header_of(message).ratchet)
        b.open(message)
        assert b.state.own is None  # followed: its private half is gone
        message = b.seal(b"y")
        seen.add(header_of(message).ratchet)
        a.open(message)
        assert a.state.own is None
    assert len(seen) == 10


def test_steps_are_made_when_sealing_and_are_numbered_by_side() -> None:
    a, b = sides()
    first = [header_of(a.seal(b"x")) for _ in range(3)]
    assert [(one.step, one.number) for one in first] == [(1, 0), (1, 1), (1, 2)]
    a, b = talking()
    state = b.state
    b.open(a.seal(b"x"))
    assert b.state.step == state.step + 1 == 3
    assert header_of(b.seal(b"y")).step == 4


def test_a_step_over_a_step_is_refused_whoever_makes_it() -> None:
    a, b = talking()
    b.open(a.seal(b"x"))
    b.state = replace(b.state, step=b.state.step + 2)
    a.refuses(b.seal(b"y"), AuthenticationFailed)


@pytest.mark.spec("06.2-2")
def test_a_step_that_cannot_be_is_refused() -> None:
    a, b = talking()
    message = a.seal(b"x")  # step 3
    b.refuses(with_header(message, step=0), MalformedFrame)
    b.refuses(with_header(message, step=2), MalformedFrame)
    b.refuses(with_header(message, step=4), MalformedFrame)
    b.refuses(with_header(message, step=5), AuthenticationFailed)
    b.refuses(with_header(message, step=2**32 - 1), AuthenticationFailed)
    assert b.open(message) == b"x"
    # b has not answered, so a cannot be a step further, whatever it says.
    b.refuses(with_header(a.seal(b"y"), step=5), AuthenticationFailed)


@pytest.mark.spec("06.2-3")
def test_a_known_step_has_one_ratchet_key() -> None:
    a, b = talking()
    b.open(a.seal(b"x"))
    message = a.seal(b"y")
    other = DhPrivate.generate(a.entropy).public
    b.refuses(with_header(message, ratchet=other), AuthenticationFailed)
    assert b.open(message) == b"y"


@pytest.mark.spec("06.5-3")
def test_cd06_a_forged_step_changes_nothing() -> None:
    a, b = talking()
    message = a.seal(b"x")
    forged = with_header(message, ratchet=DhPrivate.generate(a.entropy).public)
    b.refuses(forged, AuthenticationFailed)
    assert b.open(message) == b"x"


# --- chains and message keys ------------------------------------------------------------------


@pytest.mark.spec("06.3-1")
def test_every_message_has_a_fresh_guard() -> None:
    a, _ = sides()
    guards = {header_of(a.seal(b"x")).guard for _ in range(50)}
    assert len(guards) == 50


@pytest.mark.spec("06.3-1")
def test_a_restored_copy_seals_under_other_keys() -> None:
    a, _ = talking()
    copy = replace(a, entropy=a.entropy.fork("restored"))
    a.seal(b"x")
    copy.state = a.state  # in mid-chain, so both use one chain key
    left, right = a.seal(b"same text"), copy.seal(b"same text")
    assert header_of(left).number == header_of(right).number
    assert left[1] != right[1]


@pytest.mark.spec("06.3-2")
def test_used_keys_are_not_kept() -> None:
    a, b = talking()
    messages = [a.seal(b"%d" % n) for n in range(3)]
    stale = b.state
    b.open(messages[2])
    stored = encode(b.state)
    chain = a.state.sending
    assert chain is not None and chain.key in stored  # the next key, and only that
    before = encode(b.state)
    b.open(messages[0])
    key = b.state.skipped[16:48]
    b.open(messages[1])
    assert b.state.skipped == b""
    assert key in before and key not in encode(b.state)
    assert ratchet.open_message(stale, *messages[1], AD, now=NOW)[1] == b"1"


# --- sealing ----------------------------------------------------------------------------------


@pytest.mark.spec("06.4-1", "06.5-3")
def test_cd01_every_flipped_bit_is_refused() -> None:
    a, b = talking()
    header, ciphertext = a.seal(b"text")
    for bit in range(len(header) * 8):
        forged = bytearray(header)
        forged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RemoteError):
            ratchet.open_message(b.state, bytes(forged), ciphertext, AD, now=NOW)
    for bit in range(len(ciphertext) * 8):
        changed = bytearray(ciphertext)
        changed[bit // 8] ^= 1 << bit % 8
        b.refuses((header, bytes(changed)), AuthenticationFailed)
    b.refuses((header, ciphertext), AuthenticationFailed, ad=b"others")
    assert b.open((header, ciphertext)) == b"text"


@pytest.mark.spec("06.4-2")
def test_cd16_a_chain_or_a_channel_at_its_end_seals_nothing() -> None:
    a, b = talking()
    a.seal(b"x")
    chain = a.state.sending
    assert chain is not None
    a.state = replace(a.state, sending=Chain(chain.key, limits.MAX_ITERATION - 1))
    a.seal(b"last")
    with pytest.raises(Exhausted):
        a.seal(b"one more")
    b.state = replace(b.state, own=None, sending=None, peer=DhPrivate.generate(b.entropy).public)
    b.state = replace(b.state, step=limits.MAX_ITERATION - 1)
    b.seal(b"last step")
    b.state = replace(b.state, sending=None)
    with pytest.raises(Exhausted):
        b.seal(b"one more")


# --- opening ----------------------------------------------------------------------------------


@pytest.mark.spec("06.5-1")
def test_a_length_of_the_chain_before_that_cannot_be_is_malformed() -> None:
    a, b = sides()
    message = a.seal(b"x")
    b.refuses(with_header(message, previous=1), MalformedFrame)
    assert b.open(message) == b"x"
    b.open(a.seal(b"y"))
    a.open(b.seal(b"z"))
    message = a.seal(b"x")
    assert header_of(message).previous == 2
    b.refuses(with_header(message, previous=1), MalformedFrame)
    b.refuses(with_header(message, previous=2**32 - 1), TooFarAhead)
    assert b.open(message) == b"x"


@pytest.mark.spec("06.5-2")
@pytest.mark.parametrize("opened_before", [0, 3])
def test_cd03_a_jump_at_the_limit_opens_and_one_beyond_derives_nothing(opened_before: int) -> None:
    a, b = talking()
    for _ in range(opened_before):
        b.open(a.seal(b"x"))
    messages = [a.seal(b"%d" % n) for n in range(limits.MAX_SESSION_JUMP + 2)]
    b.refuses(messages[-1], TooFarAhead)
    assert b.open(messages[-2]) == b"%d" % limits.MAX_SESSION_JUMP
    assert b.open(messages[-1]) == b"%d" % (limits.MAX_SESSION_JUMP + 1)


@pytest.mark.spec("06.5-2")
def test_cd03_the_limit_holds_for_the_chain_that_a_step_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = talking()
    b.open(a.seal(b"x"))
    for _ in range(limits.MAX_SESSION_JUMP):
        a.seal(b"lost")
    answer = b.seal(b"y")
    fitting = replace(a, entropy=a.entropy.fork("fitting"))
    fitting.open(answer)
    assert replace(b).open(fitting.seal(b"z")) == b"z"
    a.seal(b"lost")
    a.open(answer)
    over = a.seal(b"z")
    derived: list[bytes] = []
    monkeypatch.setattr(messages, "extract", lambda *parts: derived.append(parts[0]))
    b.refuses(over, TooFarAhead)
    assert derived == []


@pytest.mark.spec("06.5-2")
def test_the_last_number_is_never_jumped_to() -> None:
    a, b = talking()
    message = a.seal(b"x")
    b.open(message)
    chain = b.state.receiving
    assert chain is not None
    b.state = replace(b.state, receiving=Chain(chain.key, limits.MAX_ITERATION - 1))
    b.refuses(with_header(message, number=limits.MAX_ITERATION), TooFarAhead)


@pytest.mark.spec("06.5-4")
def test_cd02_a_replay_is_a_duplicate_for_as_long_as_the_channel_lives() -> None:
    a, b = talking()
    old: list[Message] = []
    for _ in range(3):
        old += [a.seal(b"x"), a.seal(b"y")]
        b.open(old[-1])
        b.open(old[-2])
        a.open(b.seal(b"z"))
    for message in old:
        b.refuses(message, Duplicate)


@pytest.mark.spec("06.5-5")
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_cd05_three_messages_of_two_steps_open_in_any_order(order: tuple[int, ...]) -> None:
    a, b = talking()
    b.open(a.seal(b"0"))
    messages = [a.seal(b"1"), a.seal(b"2")]
    a.open(b.seal(b"turn"))
    messages.append(a.seal(b"3"))
    assert [header_of(one).step for one in messages] == [3, 3, 5]
    for n in order:
        assert b.open(messages[n]) == b"%d" % (n + 1)
    for message in messages:
        b.refuses(message, Duplicate)


# --- skipped keys -----------------------------------------------------------------------------


def keys_of(side: Side) -> int:
    return len(side.state.skipped) // 48


@pytest.mark.spec("06.6-1", "06.6-3")
def test_cd04_the_oldest_keys_go_and_their_messages_are_expired() -> None:
    a, b = talking()
    b.open(a.seal(b"x"))
    count = limits.MAX_SKIPPED_PER_SESSION
    messages = [a.seal(b"%d" % n) for n in range(count + 1)]
    b.open(messages[count])
    assert keys_of(b) == count
    assert b.open(messages[5]) == b"5"
    later = [a.seal(b"%d" % n) for n in range(4)]
    b.open(later[3])  # three more: two of the oldest go, one place was free
    assert keys_of(b) == count
    b.refuses(messages[0], Expired)
    b.refuses(messages[1], Expired)
    assert b.open(messages[2]) == b"2"
    b.refuses(messages[2], Duplicate)
    b.refuses(messages[5], Duplicate)
    assert b.open(later[0]) == b"0"


@pytest.mark.spec("06.6-1", "06.6-3")
def test_a_jump_wider_than_the_store_keeps_the_newest() -> None:
    a, b = talking()
    messages = [a.seal(b"%d" % n) for n in range(limits.MAX_SESSION_JUMP + 1)]
    b.open(messages[-1])
    assert keys_of(b) == limits.MAX_SKIPPED_PER_SESSION
    edge = limits.MAX_SESSION_JUMP - limits.MAX_SKIPPED_PER_SESSION
    b.refuses(messages[edge - 1], Expired)
    assert b.open(messages[edge]) == b"%d" % edge


@pytest.mark.spec("06.6-3")
def test_all_keys_that_are_too_old_go_at_once() -> None:
    a, b = talking()
    messages = [a.seal(b"%d" % n) for n in range(5)]
    b.open(messages[3])
    b.now += 1
    b.open(a.seal(b"5"))
    assert keys_of(b) == 4
    b.now += limits.SKIPPED_SECONDS - 1
    b.state = ratchet.pruned(b.state, b.now)
    assert keys_of(b) == 1
    for message in messages[:3]:
        b.refuses(message, Expired)
    assert b.open(messages[4]) == b"4"


@pytest.mark.spec("06.6-2", "06.6-3")
def test_old_keys_open_nothing_and_are_erased() -> None:
    a, b = talking()
    messages = [a.seal(b"%d" % n) for n in range(6)]
    b.open(messages[1])
    b.now += limits.SKIPPED_SECONDS - 1
    b.open(messages[4])
    assert keys_of(b) == 3
    b.now += 1
    b.refuses(messages[0], Expired)
    assert keys_of(b) == 3  # a refusal changes nothing, not even this
    b.open(messages[5])
    assert keys_of(b) == 2
    b.refuses(messages[0], Expired)
    assert b.open(messages[2]) == b"2"
    assert ratchet.pruned(b.state, b.now) == b.state
    b.now += limits.SKIPPED_SECONDS
    b.state = ratchet.pruned(b.state, b.now)
    assert keys_of(b) == 0
    b.refuses(messages[3], Expired)


def test_a_skipped_message_that_is_forged_keeps_its_key() -> None:
    a, b = talking()
    first, second = a.seal(b"0"), a.seal(b"1")
    b.open(second)
    b.refuses((first[0], bytes(len(first[1]))), AuthenticationFailed)
    assert b.open(first) == b"0"


# --- the post-quantum step --------------------------------------------------------------------


@pytest.mark.spec("06.7-1", "06.7-2", "06.7-4")
def test_an_exchange_is_offered_answered_and_mixed() -> None:
    a, b = talking()
    b.open(a.seal(b"x"))
    while b.state.since < limits.PQ_STEP_MESSAGES:
        b.open(a.seal(b"x"))
    offers = [b.seal(b"offer %d" % n) for n in range(3)]
    assert {header_of(one).offer for one in offers} == {header_of(offers[0]).offer}
    assert header_of(offers[0]).offer is not None
    assert a.open(offers[2]) == b"offer 2"  # any of them may come first
    a.now += 7
    answers = [a.seal(b"answer %d" % n) for n in range(3)]
    assert {header_of(one).answer for one in answers} == {header_of(answers[0]).answer}
    assert header_of(answers[0]).answer is not None
    assert header_of(answers[0]).offer is None
    assert a.state.since == 3 and a.state.mixed == int(NOW) + 7
    b.now += 9
    assert b.open(answers[1]) == b"answer 1"
    assert b.state.since == 1 and b.state.mixed == int(NOW) + 9
    assert b.state.offered is None
    assert b.open(answers[0]) == b"answer 0"
    last = b.seal(b"on")
    assert header_of(last).offer is None and header_of(last).answer is None
    assert a.open(last) == b"on" and a.open(offers[0]) == b"offer 0"


@pytest.mark.spec("06.7-4")
def test_a_day_is_enough_for_an_offer() -> None:
    a, b = talking()
    b.open(a.seal(b"x"))
    b.now += limits.PQ_STEP_SECONDS - 1
    assert not ratchet.step_due(b.state, b.now)
    b.now += 1
    message = b.seal(b"y")
    assert header_of(message).offer is not None
    a.now = b.now
    a.open(message)
    b.open(a.seal(b"z"))
    assert not ratchet.step_due(b.state, b.now) and not ratchet.step_due(a.state, a.now)


@pytest.mark.spec("06.7-4")
def test_messages_and_hours_are_counted_over_the_steps_between() -> None:
    a, b = talking()
    passed = 2
    while header_of(message := a.seal(b"x")).offer is None:
        assert ratchet.step_due(a.state, a.now) is (a.state.since >= limits.PQ_STEP_MESSAGES)
        b.open(message)
        a.open(b.seal(b"y"))
        passed += 2
        assert passed <= limits.PQ_STEP_MESSAGES
    assert passed == limits.PQ_STEP_MESSAGES
    a, b = talking()
    hours = 0
    while header_of(message := a.seal(b"x")).offer is None:
        b.open(message)
        a.open(b.seal(b"y"))
        hours += 2  # so that 24 are over before 50 messages are
        a.now = b.now = NOW + hours * 3600
        assert hours <= 24
    assert hours * 3600 == limits.PQ_STEP_SECONDS


def test_a_message_that_came_late_counts_as_well() -> None:
    a, b = talking()
    late = a.seal(b"late")
    b.open(a.seal(b"x"))
    since = b.state.since
    b.open(late)
    assert b.state.since == since + 1


@pytest.mark.spec("06.7-4")
def test_the_secret_is_in_the_root() -> None:
    a, b = talking()
    b.open(a.seal(b"x"))
    b.now += limits.PQ_STEP_SECONDS
    a.open(b.seal(b"offer"))
    answer = a.seal(b"answer")
    assert b.state.offered is not None
    b.state = replace(b.state, offered=KemPrivate.generate(b.entropy))
    b.refuses(answer, AuthenticationFailed)


@pytest.mark.spec("06.7-3")
def test_fields_of_the_exchange_that_do_not_fit_are_malformed() -> None:
    a, b = talking()
    plain = a.seal(b"x")
    kem = KemPrivate.generate(a.entropy)
    _, ciphertext = a.entropy.encapsulate(kem.public)
    b.refuses(with_header(plain, answer=ciphertext), MalformedFrame)
    b.refuses(with_header(plain, offer=b"\xff" * 1184), BadKey)
    b.open(plain)
    b.now += limits.PQ_STEP_SECONDS
    a.open(b.seal(b"offer"))
    answer = a.seal(b"answer")
    b.refuses(with_header(answer, answer=None), MalformedFrame)
    b.refuses(with_header(answer, offer=kem.public), MalformedFrame)
    flipped = bytes((ciphertext[0] ^ 1,)) + ciphertext[1:]
    b.refuses(with_header(answer, answer=flipped), AuthenticationFailed)
    assert b.open(answer) == b"answer"


@pytest.mark.parametrize("size", [0, 31, 33])
def test_ck03_a_ratchet_key_of_another_length_is_malformed(size: int) -> None:
    a, b = talking()
    b.refuses(with_header(a.seal(b"x"), ratchet=bytes(size)), MalformedFrame)


@pytest.mark.parametrize("high", [0, 0x80])
def test_ck01_ck02_a_low_order_or_non_canonical_ratchet_key_is_a_bad_key(high: int) -> None:
    a, b = talking()
    message = a.seal(b"x")
    key = header_of(message).ratchet
    b.refuses(with_header(message, ratchet=bytes(31) + bytes((high,))), BadKey)
    b.refuses(with_header(message, ratchet=key[:31] + bytes((key[31] | 0x80,))), BadKey)


def test_a_state_survives_being_written() -> None:
    a, b = talking()
    messages = [a.seal(b"%d" % n) for n in range(3)]
    b.open(messages[2])
    b.now += limits.PQ_STEP_SECONDS
    a.open(b.seal(b"offer"))
    for side in (a, b):
        assert decode(Ratchet, encode(side.state)) == side.state
    assert primitives.ZERO32 not in (a.state.root, a.state.resumption)
    assert "root=" not in repr(a.state)
