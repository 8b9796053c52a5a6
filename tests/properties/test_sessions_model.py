"""Sessions against a model: starts, losses, crossings, wedges and restarts in any order (spec 07).

Safety: a payload is delivered at most once and unchanged, whatever happens; a refusal changes
nothing but what `judge` says. Liveness: once letters arrive again, ten exchanges are enough.
"""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from groupcrypt.errors import LocalError, RemoteError
from groupcrypt.protocol import limits, pairwise
from groupcrypt.protocol.pairwise import Established, Wedged
from groupcrypt.testing.pair import End, make_ends

SIDES = st.sampled_from((0, 1))


@dataclass
class Letter:
    """An envelope under way; it may arrive never, late or often."""

    recipient: int
    envelope: bytes = field(repr=False)
    payload: bytes
    delivered: int = 0


class SessionsModel(RuleBasedStateMachine):
    """Two devices that start, seal, lose and wedge as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: tuple[End, End] = make_ends(one_time=2)
        self.letters: list[Letter] = []
        self.unheard = [0, 0]  # starts of each side since it last opened something

    def _start(self, side: int) -> None:
        self.unheard[side] += 1
        self.ends[side].start(self.ends[1 - side])

    def _seal(self, side: int) -> Letter | None:
        end = self.ends[side]
        if end.session is None or isinstance(end.session, Wedged):
            if end.session is not None and not pairwise.may_reset(end.session, end.now):
                return None
            self._start(side)
        payload = b"letter %d" % len(self.letters)
        letter = Letter(1 - side, end.seal(payload), payload)
        self.letters.append(letter)
        return letter

    def _deliver(self, letter: Letter) -> bool:
        end = self.ends[letter.recipient]
        prekeys, session = end.prekeys, end.session
        inner = pairwise.unwrap(end.me, letter.envelope)
        try:
            payload = end.receive(letter.envelope)
        except RemoteError as error:
            assert end.prekeys is prekeys
            judged = None if session is None else pairwise.judge(session, inner, error, end.now)
            assert end.session == judged
            return False
        assert payload == letter.payload
        letter.delivered += 1
        self.unheard[letter.recipient] = 0
        assert letter.delivered == 1
        return True

    @rule(side=SIDES)
    def seal(self, side: int) -> None:
        self._seal(side)

    @rule(side=SIDES)
    def start(self, side: int) -> None:
        """As an update does, whatever the session's state is; within what is promised (07.4)."""
        if self.unheard[side] < limits.MAX_RETIRED_CHANNELS:
            self._start(side)
            self._seal(side)

    @precondition(lambda self: self.letters)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        self._deliver(data.draw(st.sampled_from(self.letters), label="letter"))

    @precondition(lambda self: self.letters)
    @rule()
    def deliver_the_newest(self) -> None:
        self._deliver(self.letters[-1])

    @rule(side=SIDES)
    def wedge(self, side: int) -> None:
        end = self.ends[side]
        if end.session is not None:
            end.session = pairwise.wedge(end.session, end.now)

    @rule(side=SIDES)
    def restart(self, side: int) -> None:
        self.ends[side].restart()

    @rule(seconds=st.sampled_from((1, 60, 1_800, 4_000)), skew=st.integers(-30, 30))
    def wait(self, seconds: int, skew: int) -> None:
        self.ends[0].now += seconds
        self.ends[1].now = self.ends[0].now + skew

    @rule(side=SIDES)
    def seal_on_a_wedged_session(self, side: int) -> None:
        end = self.ends[side]
        if isinstance(end.session, Wedged):
            before = end.session
            try:
                end.seal(b"x")
            except LocalError:
                assert end.session is before
            else:
                raise AssertionError("a wedged session sealed")

    @invariant()
    def a_session_is_bounded(self) -> None:
        for end in self.ends:
            if end.session is not None:
                assert len(pairwise.write_session(end.session)) < 8_000
                assert end.session.proven  # nobody lost what they knew

    def teardown(self) -> None:
        """Both sides talk again, on one channel, proven."""
        for end in self.ends:
            end.now += 4_000
        for _ in range(10):
            for side in (0, 1):
                letter = self._seal(side)
                if letter is not None:
                    self._deliver(letter)
            for end in self.ends:
                end.now += 4_000
        a, b = (end.session for end in self.ends)
        assert isinstance(a, Established) and isinstance(b, Established)
        assert a.channel.id == b.channel.id
        assert a.proven and b.proven
        for side in (0, 1):
            letter = self._seal(side)
            assert letter is not None and self._deliver(letter)


TestSessionsModel = SessionsModel.TestCase
TestSessionsModel.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, database=None
)
