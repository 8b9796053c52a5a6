"""Random scripts of two devices, played by the library and by a second reader of the spec (07).

Where the vectors show one case of each rule, this shows that the rules are read in one way only:
starts, losses, repeats, older copies, people who accept, in any order.
"""

import random
from contextlib import suppress

import pytest

from groupcrypt.errors import LocalError, RemoteError
from groupcrypt.protocol import pairwise
from groupcrypt.testing.vectors import Vector
from groupcrypt.testing.vectors.pairwise_script import Script
from tests.vectors.test_oracle_sessions import check

STEPS = 40


class Talk:
    """A script in which everything happens by chance; the near end's steps are written down."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.script = Script(seed)
        self.to_near: list[bytes] = []
        self.to_far: list[bytes] = []
        self.copies: list[bytes] = []

    def near(self) -> None:
        script = self.script
        match self.random.randrange(12):
            case 0 | 1:
                script.start()
                self.to_far.append(script.seal(b"s"))
            case 2 if script.near.session is not None:
                script.decide(self.random.choice(("wedge", "forget", "accept", "accept")))
            case 3 | 4 | 5 if script.near.session is not None:
                with suppress(LocalError):
                    self.to_far.append(script.seal(b"n"))
            case _ if self.to_near:
                self._deliver(self._any(self.to_near))
            case _:
                pass

    def _deliver(self, letter: bytes) -> None:
        script, session = self.script, self.script.near.session
        try:
            pairwise.receive(
                script.near.me,
                script.near.prekeys,
                session,
                pairwise.unwrap(script.near.me, letter),
                now=script.near.now,
                entropy=script.near.entropy,
            )
        except RemoteError:
            if session is not None:
                script.refuse(letter)
        else:
            script.receive(letter)

    def far(self) -> None:
        far = self.script.far
        match self.random.randrange(12):
            case 0 | 1:
                self._far_starts()
            case 2 if far.session is not None:
                self.copies.append(pairwise.write_session(far.session))
            case 3 if self.copies:
                held = pairwise.read_session(self.random.choice(self.copies))
                known = self.random.random() < 0.7
                far.session = pairwise.forget(held, far.now) if known else held
                self._far_starts()
            case 4 if self.random.random() < 0.5:
                far.session = None
                self._far_starts()
            case 5 if far.session is not None:
                far.session = pairwise.accept(far.session)
            case 6 | 7 | 8 if far.session is not None:
                with suppress(LocalError):
                    self.to_near.append(far.seal(b"f"))
            case _ if self.to_far:
                with suppress(RemoteError):
                    far.receive(self._any(self.to_far))
            case _:
                pass

    def _far_starts(self) -> None:
        """Now and then it says that it could not open a start of the near end's."""
        near, far = self.script.near, self.script.far
        refused = near.session is not None and self.random.random() < 0.2
        far.start(near, refused=near.held().channel.id if refused else None)
        self.to_near.append(far.seal(b"s"))

    def _any(self, letters: list[bytes]) -> bytes:
        """Mostly a new one."""
        return letters[-1] if self.random.random() < 0.6 else self.random.choice(letters)

    def whole(self) -> Vector:
        script = self.script
        for _ in range(STEPS):
            self.near()
            self.far()
            passed = self.random.choice((0, 0, 0, 0, 1, 60, 60, 1_800, 3_700, 40_000))
            script.near.now += passed
            script.far.now = script.near.now + self.random.randrange(-40, 40)
        return script.good("07", "a random script")


@pytest.mark.parametrize("seed", range(48))
def test_a_second_reader_comes_to_the_same_in_random_scripts(seed: int) -> None:
    check(Talk(seed).whole())
