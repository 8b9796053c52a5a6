"""Sender keys under any order of events, against a model of numbers; and readers that are total."""

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from groupcrypt.errors import Duplicate, Expired, RemoteError, TooFarAhead
from groupcrypt.protocol import limits, sender_key, wire
from groupcrypt.protocol.identifiers import GroupId, LogHash
from groupcrypt.protocol.sender_key import Context, FrameKeys
from groupcrypt.protocol.sender_key.chain import step
from groupcrypt.testing.forgery import Forgery
from groupcrypt.testing.vectors.sender_keys_scene import NOW, Scene
from tests.unit.sender_key_talk import enter, receiver, take


class Talk(RuleBasedStateMachine):
    """One sender, one receiver, and between them a server that delays, repeats and withholds."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene("talk")
        self.chain = receiver(self.scene)
        self.sealed: dict[int, tuple[bytes, bytes]] = {}  # iteration -> (frame, content)
        self.next, self.floor = 0, 0
        self.held: set[int] = set()  # iterations passed over and not evicted
        self.made = 0
        # What the owner has seen echoed, and what the receiver counts: before this epoch, in it.
        self.echoed_before, self.echoed = 0, 0
        self.counted_before, self.counted = 0, 0

    @rule()
    def seal(self) -> None:
        scene = self.scene
        if sender_key.needs_refresh(scene.chain, scene.context, NOW):
            scene.refresh()
        iteration = scene.chain.iteration
        self.made += 1
        content = b"%d" % self.made
        self.sealed[iteration] = (scene.seal(content), content)

    @rule(iterations=st.one_of(st.integers(1, 130), st.integers(900, 2100)))
    def pass_over(self, iterations: int) -> None:
        self.scene.skip(iterations)

    @precondition(lambda self: self.sealed)
    @rule(data=st.data(), seen=st.booleans())
    def deliver(self, data: st.DataObject, seen: bool) -> None:  # noqa: FBT001
        """Show any frame of this epoch, new or not; the owner sees the first time, or never."""
        iteration = data.draw(st.sampled_from(sorted(self.sealed)))
        frame, content = self.sealed[iteration]
        expected = self.outcome(iteration)
        if expected is not None:
            before = wire.encode(self.chain.core), self.chain.skipped
            with pytest.raises(expected):
                take(self.chain, self.scene, frame)
            assert (wire.encode(self.chain.core), self.chain.skipped) == before
            return
        stated = self.echoed_before - self.counted_before
        self.chain, opened = take(self.chain, self.scene, frame)
        assert opened.contents == (content,)
        if iteration == 0:
            assert opened.missing == stated
            self.counted_before = self.echoed_before
        else:
            assert opened.missing is None
        self.counted += 1
        if seen:
            self.scene.echoed(frame)
            self.echoed += 1
        self.advance(iteration)

    def outcome(self, iteration: int) -> type[RemoteError] | None:
        """What the numbers alone say must happen; None for success."""
        if iteration >= self.next:
            return TooFarAhead if iteration - self.next > limits.MAX_FORWARD_JUMP else None
        if iteration in self.held:
            return None
        return Expired if iteration < self.floor else Duplicate

    def advance(self, iteration: int) -> None:
        self.held.discard(iteration)
        if iteration >= self.next:
            self.held |= set(range(self.next, iteration))
            self.next = iteration + 1
        excess = sorted(self.held)[: -limits.MAX_SKIPPED_PER_CHAIN]
        if excess:
            self.held -= set(excess)
            self.floor = excess[-1] + 1

    @precondition(lambda self: self.sealed)
    @rule(data=st.data(), bit=st.integers(0, 451 * 8 - 1))
    def damage(self, data: st.DataObject, bit: int) -> None:
        frame, _ = self.sealed[data.draw(st.sampled_from(sorted(self.sealed)))]
        at = bit // 8 % len(frame)
        damaged = frame[:at] + bytes((frame[at] ^ 1 << bit % 8,)) + frame[at + 1 :]
        with pytest.raises(RemoteError):
            take(self.chain, self.scene, damaged)

    @rule()
    def forge(self) -> None:
        """A member that is not the sender, with all its shared keys."""
        forgery = Forgery(signing=self.scene.signing_key())
        with pytest.raises(RemoteError):
            take(self.chain, self.scene, self.scene.forge(forgery))

    @rule(fresh=st.integers(0, 1))
    def next_epoch(self, fresh: int) -> None:
        scene = self.scene
        if scene.chain.vouch is not None or scene.chain.fresh < scene.context.fresh:
            fresh = 0  # a vouch that nobody saw, or a key not yet renewed: see the unit tests
        self.chain = enter(self.chain, scene, fresh=fresh)
        self.sealed.clear()
        self.held.clear()
        self.next, self.floor = 0, 0
        self.echoed_before, self.echoed = self.echoed_before + self.echoed, 0
        self.counted_before, self.counted = self.counted_before + self.counted, 0

    @invariant()
    def numbers_agree(self) -> None:
        core = self.chain.core
        assert (core.iteration, core.floor) == (self.next, self.floor)
        assert sender_key.skipped_count(self.chain.skipped) == len(self.held)
        assert (core.count, core.previous_count) == (self.counted, self.counted_before)
        for index, block in self.chain.skipped.items():
            there = {index * 64 + bit for bit in range(64) if block.mask >> bit & 1}
            assert there == {one for one in self.held if one // 64 == index}
            assert len(block.keys) == 32 * len(there)


TestTalk = Talk.TestCase
TestTalk.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


SCENE = Scene("total")
KEYS = FrameKeys(bytes(32), bytes(32))
CONTEXT = Context(GroupId(bytes(32)), 1, LogHash(bytes(32)), 1)
READERS: tuple[Callable[[bytes], object], ...] = (
    lambda raw: sender_key.open_header(KEYS, CONTEXT, raw),
    sender_key.read_distribution,
    sender_key.read_vouch,
    lambda raw: sender_key.accept_vouch(receiver(SCENE), SCENE.context, raw),
    lambda raw: sender_key.check_report(raw, CONTEXT, SCENE.chain.signing.public),
)


@given(st.one_of(st.binary(max_size=600), st.binary(min_size=216, max_size=216)))
@settings(max_examples=300)
def test_readers_raise_nothing_of_their_own(raw: bytes) -> None:
    for read in READERS:
        try:
            read(raw)
        except RemoteError:
            continue


@given(st.data())
@settings(max_examples=300)
def test_a_damaged_distribution_is_refused_or_canonical(data: st.DataObject) -> None:
    raw = bytearray(SCENE.distribution)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = sender_key.read_distribution(bytes(raw))
    except RemoteError:
        return
    assert wire.encode(found) == bytes(raw)


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=20), st.integers(0, 2**32))
@settings(max_examples=60)
def test_whatever_is_sealed_opens_and_can_be_reported(texts: list[bytes], seed: int) -> None:
    scene = Scene(f"bundles {seed}")
    chain, signing = receiver(scene), scene.chain.signing.public
    frame = scene.seal(*texts)
    header = scene.header(frame)
    _, opened = sender_key.open_frame(chain, scene.context, frame, header, now=NOW)
    assert opened.contents == tuple(texts)
    for at, text in enumerate(texts):
        raw = sender_key.report(header, opened, at)
        assert sender_key.check_report(raw, scene.context, signing).content == text


@given(st.integers(1, 200), st.integers(1, 200))
@settings(max_examples=50)
def test_no_key_is_used_for_two_things(iterations: int, seed: int) -> None:
    """Chain keys and message keys of a chain and of its carried successor are all different."""
    scene = Scene(f"keys {seed}")
    seen: list[bytes] = []
    for _ in range(2):
        chain_key = scene.chain.chain_key
        for _ in range(iterations):
            chain_key, message_key = step(chain_key)
            seen += (chain_key, message_key)
        scene.enter(fresh=0)
    assert len(set(seen)) == len(seen)
    assert all(len(key) == hashlib.sha256().digest_size for key in seen)
