"""Sessions of devices that were put back to an older copy, in any order, as often as it may (07.6).

Whatever was lost, both sides are on one channel again within hours and not after a day, once
people accepted what could not be proven. Who restores knows it, and has new prekeys (12.6).
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from groupcrypt.errors import RemoteError, UnknownPrekey, UnknownResumption
from groupcrypt.protocol import handshake, limits, pairwise
from groupcrypt.protocol.pairwise import Inner
from groupcrypt.testing.pair import End
from tests.properties.test_sessions_model import SIDES, Letter, SessionsModel


class RestoredModel(SessionsModel):
    """Two devices, copies of their sessions, and people who accept at once."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: tuple[list[bytes], list[bytes]] = ([], [])
        self.refused: list[bytes | None] = [None, None]  # the last start answered for its prekeys

    def _start(self, side: int) -> None:
        self.unheard[side] += 1
        self.ends[side].start(self.ends[1 - side], refused=self.refused[side])
        self._accept(self.ends[side])

    def _accept(self, end: End) -> None:
        if end.session is not None:
            end.session = pairwise.accept(end.session)

    def _deliver(self, letter: Letter) -> bool:
        end = self.ends[letter.recipient]
        try:
            payload = end.receive(letter.envelope)
        except UnknownResumption:
            return False
        except UnknownPrekey:
            self._answer(letter.recipient, pairwise.unwrap(end.me, letter.envelope))
            return False
        except RemoteError:
            return False
        else:
            assert payload == letter.payload
            self.unheard[letter.recipient] = 0
            return True
        finally:
            self._accept(end)

    def _answer(self, side: int, inner: Inner) -> None:
        """A start to prekeys of another life is answered by one of ours, once (12.3-9)."""
        end = self.ends[side]
        if self.refused[side] == inner.channel:
            return
        self.refused[side] = inner.channel
        if end.session is not None:
            end.session = pairwise.overtake(end.session, inner, end.now)
        self._start(side)
        self._seal(side)

    @precondition(lambda self: self.letters)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.letters) - 1), label="letter")
        self._deliver(self.letters[place])

    @rule(side=SIDES)
    def keep(self, side: int) -> None:
        end = self.ends[side]
        if end.session is not None:
            self.copies[side].append(pairwise.write_session(end.session))

    @rule(side=SIDES, data=st.data())
    def restore(self, side: int, data: st.DataObject) -> None:
        copies, end = self.copies[side], self.ends[side]
        if not copies or self.unheard[side] >= limits.MAX_RETIRED_CHANNELS:
            return
        for each in self.ends:
            each.now += 1
        place = data.draw(st.integers(0, len(copies) - 1), label="copy")
        del copies[place + 1 :]
        end.session = pairwise.forget(pairwise.read_session(copies[place]), end.now)
        end.prekeys = handshake.replaced(end.prekeys, now=end.now, entropy=end.entropy)
        end.pool.clear()
        self._start(side)
        self._seal(side)

    @invariant()
    def a_session_is_bounded(self) -> None:
        for end in self.ends:
            if end.session is not None:
                assert len(pairwise.write_session(end.session)) < 8_000
                assert end.session.proven  # it was accepted


TestRestoredModel = RestoredModel.TestCase
TestRestoredModel.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, database=None
)
