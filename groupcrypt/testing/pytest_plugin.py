"""A pytest plugin: stories and worlds played for many seeds, and a report that can be acted on.

    def test_who_was_cut_off_misses_nothing(party):
        party(story, "alice bob carol")

    def test_groups_hold(world):
        world(steps=500)

Rules of this file:
- It is loaded into every pytest run where this library is installed: it imports nothing but pytest
  until a fixture is used, takes option names that nobody else has, and changes nothing.
- Seeds are counted from 0, so a run is the same every day; a failing one says how to replay it.

How to use it is in spec/testing-your-client.md.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import pytest

if TYPE_CHECKING:  # none of it is wanted in a run that does not use it
    from groupcrypt.testing.party import Party
    from groupcrypt.testing.trace import Trace
    from groupcrypt.testing.world import Failure, Progress

SEEDS = 10  # for each test
PERIOD = 1.0  # seconds between two updates of the progress line


class PlayParty(Protocol):
    """The fixture `party`: plays a story, an async function of a `Party`, for every seed."""

    def __call__(
        self,
        story: Callable[["Party[Any]"], Any],
        names: str,
        /,
        *,
        client: Callable[[Any], Any] | None = None,
        files: bool = False,
    ) -> None:
        """`client` makes another kind of client; `files`: each has a real database."""
        ...


class PlayWorld(Protocol):
    """The fixture `world`: draws a script from every seed and plays it on the pure core."""

    def __call__(self, *, steps: int = 500, people: int | None = None, honest: bool = True) -> None:
        """`steps` of devices for each seed; `honest`: nobody lies, neither member nor server."""
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two options, under names that no other plugin or conftest takes."""
    group = parser.getgroup("groupcrypt", "parties and worlds of groupcrypt")
    group.addoption(
        "--groupcrypt-seeds",
        type=int,
        metavar="N",
        default=SEEDS,
        help=f"play every party and world for N seeds (default {SEEDS})",
    )
    group.addoption(
        "--groupcrypt-seed", type=int, metavar="K", help="play them for the seed K alone"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Count seeds from here on."""
    config.stash[_COUNTER] = Counter(config)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many seeds there were, and how fast."""
    counter = config.stash[_COUNTER]
    if counter.seeds:
        terminalreporter.write_line(f"groupcrypt: {counter}")


@pytest.fixture
def party(request: pytest.FixtureRequest) -> PlayParty:
    """Play a story of real clients and a real server for every seed."""
    return _Parties(request)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> PlayWorld:
    """Play worlds of devices that a seed draws, faults and all; what fails is made small."""
    return _Worlds(request)


class Counter:
    """How many seeds were played, and in how many seconds."""

    def __init__(self, config: pytest.Config) -> None:
        self.seeds = 0
        self.seconds = 0.0
        self._config = config
        self._told = time.monotonic()

    def __str__(self) -> str:
        rate = self.seeds / self.seconds if self.seconds else 0.0
        return f"{self.seeds} seeds in {self.seconds:.1f} s, {rate:.1f} seeds/s"

    def played(self, began: float) -> None:
        """One more, begun at a time of the monotonic clock."""
        self.seeds += 1
        self.seconds += time.monotonic() - began
        self.tell()

    def tell(self, what: str = "") -> None:
        """Renew the progress line, about once a second, if there is somebody at a terminal."""
        now = time.monotonic()
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and reporter.isatty and now - self._told >= PERIOD:
            self._told = now
            reporter.rewrite(f"groupcrypt: {self}{what} ", erase=True)


_COUNTER = pytest.StashKey[Counter]()


class _Played:
    """What both fixtures need of the test that uses them."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._counter = request.config.stash[_COUNTER]

    @property
    def seeds(self) -> Iterable[int]:
        config = self._request.config
        alone = cast("int | None", config.getoption("--groupcrypt-seed"))
        count = cast("int", config.getoption("--groupcrypt-seeds"))
        return range(count) if alone is None else (alone,)

    def report(self, seed: int, trace: "Trace | None") -> str:
        """How to see it again, and where its picture is."""
        replay = f"replay: pytest '{self._request.node.nodeid}' --groupcrypt-seed {seed}"
        if trace is None or not len(trace):
            return replay
        return f"{replay}\npicture: {self._picture(seed, trace, replay).as_uri()}"

    def folder(self, seed: int) -> Path:
        """Where the test may leave something."""
        place: Path = self._request.getfixturevalue("tmp_path")
        return place / f"seed-{seed}"

    def _picture(self, seed: int, trace: "Trace", caption: str) -> Path:
        from groupcrypt.testing.picture import svg  # noqa: PLC0415  # see the rules above

        place = self.folder(seed).with_suffix(".svg")
        title = f"{self._request.node.name}, seed {seed}"
        place.write_text(svg(trace, title=title, caption=(caption,))[0], "utf-8")
        place.with_suffix(".trace").write_text(trace.text(), "utf-8")
        return place


class _Parties(_Played):
    def __call__(
        self,
        story: Callable[["Party[Any]"], Any],
        names: str,
        /,
        *,
        client: Callable[[Any], Any] | None = None,
        files: bool = False,
    ) -> None:
        for seed in self.seeds:
            began = time.monotonic()
            self._play(seed, story, names, client, files)
            self._counter.played(began)

    def _play(
        self,
        seed: int,
        story: Callable[["Party[Any]"], Any],
        names: str,
        client: Callable[[Any], Any] | None,
        files: bool,  # noqa: FBT001  # as the fixture got it
    ) -> None:
        from groupcrypt.testing.party import play  # noqa: PLC0415  # as below
        from groupcrypt.testing.party.clients import NodeClient  # noqa: PLC0415  # see the rules above

        held: list[Party[Any]] = []

        async def told(p: "Party[Any]") -> None:
            held.append(p)
            await story(p)

        folder = self.folder(seed) if files else None
        try:
            play(names, told, seed=seed, folder=folder, client=client or NodeClient)
        except Exception as error:
            error.add_note(self.report(seed, held[0].trace if held else None))
            raise


class _Worlds(_Played):
    def __call__(self, *, steps: int = 500, people: int | None = None, honest: bool = True) -> None:
        from groupcrypt.testing.world import explore  # noqa: PLC0415  # see the rules above

        for seed in self.seeds:
            began = time.monotonic()
            try:
                failure = explore(
                    (seed,), steps=steps, people=people, honest=honest, on_progress=self._tell
                )
            except Exception as error:  # of the library or of the world: no promise is judged
                error.add_note(self.report(seed, None))
                raise
            self._counter.played(began)
            if failure is not None:
                pytest.fail(f"{failure}\n{self.report(seed, _seen(failure))}", pytrace=False)

    def _tell(self, progress: "Progress") -> None:
        if progress.stage == "minimising":
            self._counter.tell(f", seed {progress.seed} failed: {progress.left} actions left")


def _seen(failure: "Failure") -> "Trace":
    """The trace of the shortest script that shows a failure."""
    from groupcrypt.testing.world import Broken  # noqa: PLC0415  # see the rules above

    world = failure.case.world()
    with suppress(Broken):
        world.play(*failure.case.script)
        world.settle()
    return world.trace
