"""The ratchet against a model: any order, loss, repetition and forgery (spec 06).

The model knows which messages exist and which were opened. The limits of skipped keys are out of
reach here; `tests/unit/test_ratchet.py` has them.
"""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from groupcrypt.errors import Duplicate, RemoteError
from groupcrypt.protocol import limits, ratchet
from groupcrypt.protocol.primitives import DhPrivate
from groupcrypt.protocol.ratchet import Header, Ratchet
from groupcrypt.protocol.wire import decode, encode
from groupcrypt.testing.entropy import SeededEntropy

START = 1_800_000_000.0
AD = b"who and where"
SIDES = st.sampled_from((0, 1))


@dataclass
class Letter:
    """A message as the model sees it."""

    recipient: int
    header: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    text: bytes
    opened: bool = False


class RatchetModel(RuleBasedStateMachine):
    """Two sides, and every message that was ever sealed."""

    def __init__(self) -> None:
        super().__init__()
        entropy = SeededEntropy(1)
        root, signed = entropy(32), DhPrivate.generate(entropy)
        self.states = [
            ratchet.initiator(root, signed.public, START),
            ratchet.responder(root, signed, START),
        ]
        self.entropy = [entropy.fork("0"), entropy.fork("1")]
        self.may_seal = [True, False]  # the responder has to hear first
        self.letters: list[Letter] = []
        self.now = START

    @rule(side=SIDES, count=st.integers(1, 20))
    def seal(self, side: int, count: int) -> None:
        if not self.may_seal[side]:
            return
        for _ in range(count):
            text = b"letter %d" % len(self.letters)
            self.states[side], header, ciphertext = ratchet.seal(
                self.states[side], text, AD, now=self.now, entropy=self.entropy[side]
            )
            self.letters.append(Letter(1 - side, header, ciphertext, text))

    @precondition(lambda self: self.letters)
    @rule(data=st.data(), many=st.integers(1, 5))
    def deliver(self, data: st.DataObject, many: int) -> None:
        """Any message there is, in any order and as often as you like; the rest is lost so far."""
        for _ in range(many):
            self._deliver(data.draw(st.sampled_from(self.letters), label="letter"))

    @precondition(lambda self: self.letters)
    @rule()
    def deliver_the_newest(self) -> None:
        self._deliver(self.letters[-1])

    def _deliver(self, letter: Letter) -> None:
        before = self.states[letter.recipient]
        if letter.opened:
            with pytest.raises(Duplicate):
                self._open(letter, letter.header, letter.ciphertext)
            assert self.states[letter.recipient] is before
            return
        assert self._open(letter, letter.header, letter.ciphertext) == letter.text
        letter.opened = True
        self.may_seal[letter.recipient] = True

    def _open(self, letter: Letter, header: bytes, ciphertext: bytes) -> bytes:
        side = letter.recipient
        self.states[side], text = ratchet.open_message(
            self.states[side], header, ciphertext, AD, now=self.now
        )
        return text

    @precondition(lambda self: self.letters)
    @rule(data=st.data(), where=st.integers(0, 10**6), bit=st.integers(0, 7))
    def forge(self, data: st.DataObject, where: int, bit: int) -> None:
        """One flipped bit anywhere, of a message that was opened or not."""
        letter = data.draw(st.sampled_from(self.letters), label="letter")
        whole = bytearray(letter.header + letter.ciphertext)
        whole[where % len(whole)] ^= 1 << bit
        at = len(letter.header)
        self._refused(letter, bytes(whole[:at]), bytes(whole[at:]))

    @precondition(lambda self: self.letters)
    @rule(
        data=st.data(),
        step=st.integers(0, 40),
        number=st.integers(0, 60),
        previous=st.integers(0, 60),
        fresh=st.booleans(),
    )
    def forge_a_header(
        self, data: st.DataObject, *, step: int, number: int, previous: int, fresh: bool
    ) -> None:
        """A well-formed header that its sender did not make."""
        letter = data.draw(st.sampled_from(self.letters), label="letter")
        header = decode(Header, letter.header)
        key = DhPrivate.generate(SeededEntropy(number)).public if fresh else header.ratchet
        forged = replace(header, step=step, number=number, previous=previous, ratchet=key)
        if forged != header:
            self._refused(letter, encode(forged), letter.ciphertext)

    def _refused(self, letter: Letter, header: bytes, ciphertext: bytes) -> None:
        before = encode(self.states[letter.recipient])
        with pytest.raises(RemoteError):
            self._open(letter, header, ciphertext)
        assert encode(self.states[letter.recipient]) == before

    @rule(side=SIDES)
    def restart(self, side: int) -> None:
        self.states[side] = decode(Ratchet, encode(self.states[side]))

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        """Not so long that skipped keys grow old: that is for the unit tests."""
        if self.now + hours * 3600 < START + limits.SKIPPED_SECONDS:
            self.now += hours * 3600

    @invariant()
    def keys_are_kept_for_what_is_missing_only(self) -> None:
        for side, state in enumerate(self.states):
            kept = len(state.skipped) // 48
            missing = sum(not one.opened for one in self.letters if one.recipient == side)
            assert kept <= missing

    def teardown(self) -> None:
        """In the end whatever is missing arrives, and every message was opened once."""
        for letter in reversed(self.letters):
            if not letter.opened:
                self._deliver(letter)
        for letter in self.letters:
            self._deliver(letter)
        assert all(not state.skipped for state in self.states)


TestRatchetModel = RatchetModel.TestCase
TestRatchetModel.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
