"""The pytest plugin: seeds are played, what fails can be replayed, others are left alone."""

import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from groupcrypt.testing import pytest_plugin
from groupcrypt.testing.pytest_plugin import Counter

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
PLUGIN = ("-p", "groupcrypt.testing.pytest_plugin")

STORY = """
async def story(p):
    await p.group()
    await p.say("alice", "hello")
    with open("seeds", "a") as file:
        print(p.seed, file=file)
    await p.settled()
    assert p.texts("bob") == ([] if p.seed in BAD else ["hello"])
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project of somebody else, with this plugin alone."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # it may be installed or not
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return pytester


def seeds(run: pytest.Pytester) -> list[int]:
    return [int(line) for line in (run.path / "seeds").read_text().split()]


def test_a_story_is_played_for_every_seed(run: pytest.Pytester) -> None:
    run.makepyfile(f"BAD = ()\n{STORY}\ndef test_it(party):\n    party(story, 'alice bob')\n")
    result = run.runpytest(*PLUGIN, "--groupcrypt-seeds", "3")
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines([r"groupcrypt: 3 seeds in \d+\.\d s, \d+\.\d seeds/s"])
    assert seeds(run) == [0, 1, 2]


def test_a_failing_seed_says_how_to_see_it_again(run: pytest.Pytester) -> None:
    run.makepyfile(f"BAD = (2,)\n{STORY}\ndef test_it(party):\n    party(story, 'alice bob')\n")
    result = run.runpytest(*PLUGIN)
    result.assert_outcomes(failed=1)
    text = str(result.stdout)
    assert seeds(run) == [0, 1, 2]
    found = re.search(r"replay: pytest '(\S+::test_it)' --groupcrypt-seed 2", text)
    picture = re.search(r"picture: file://(\S+\.svg)", text)
    assert found is not None and picture is not None
    assert "hello" in text and Path(picture[1]).read_text("utf-8").startswith("<svg")
    trace = Path(picture[1]).with_suffix(".trace").read_text("utf-8")
    assert "alice send" in trace and "hello" not in trace
    (run.path / "seeds").unlink()
    again = run.runpytest(*PLUGIN, found[1], "--groupcrypt-seed", "2")
    again.assert_outcomes(failed=1)
    good = run.runpytest(*PLUGIN, found[1], "--groupcrypt-seed", "3")
    good.assert_outcomes(passed=1)
    assert seeds(run) == [2, 3]


def test_a_story_without_a_party_fails_by_itself(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        def broken(place):
            raise ZeroDivisionError("mine")

        async def story(p): ...

        def test_it(party):
            party(story, "alice", client=broken)
        """
    )
    result = run.runpytest(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ZeroDivisionError: mine", "*replay: pytest*--groupcrypt-seed 0"])
    result.stdout.no_fnmatch_line("*picture:*")


def test_a_party_may_have_files(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        async def story(p):
            await p.group()

        def test_it(party, tmp_path):
            party(story, "alice bob", files=True)
            assert len(list(tmp_path.glob("seed-*/*/device.db"))) == 2
        """
    )
    run.runpytest(*PLUGIN, "--groupcrypt-seeds", "1").assert_outcomes(passed=1)


def test_worlds_are_played_for_every_seed(run: pytest.Pytester) -> None:
    run.makepyfile("def test_it(world):\n    world(steps=60)\n")
    result = run.runpytest(*PLUGIN, "--groupcrypt-seeds", "2")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["groupcrypt: 2 seeds in *"])


def test_a_failing_world_is_told_as_a_short_script(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        from dataclasses import replace
        from groupcrypt.protocol import device
        from groupcrypt.protocol.events import MessageReceived

        def test_it(world, monkeypatch):
            honest = device.receive

            def forgetful(state, record, **rest):  # shows nothing to anybody
                step = honest(state, record, **rest)
                told = [each for each in step.events if not isinstance(each, MessageReceived)]
                return replace(step, events=tuple(told))

            monkeypatch.setattr(device, "receive", forgetful)
            world(steps=200, people=2)
        """
    )
    result = run.runpytest(*PLUGIN)
    result.assert_outcomes(failed=1)
    text = str(result.stdout)
    assert re.search(r"delivery: .*", text) and "World(" in text and ").settle()" in text
    assert len(re.findall(r"^    \w+\(", text, re.MULTILINE)) <= 8
    picture = re.search(r"picture: file://(\S+\.svg)", text)
    assert picture is not None and Path(picture[1]).read_text("utf-8").startswith("<svg")


def test_a_world_that_raises_says_how_to_see_it_again(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        from groupcrypt.protocol import device

        def test_it(world, monkeypatch):
            monkeypatch.setattr(device, "create", None)
            world(steps=50)
        """
    )
    result = run.runpytest(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*TypeError:*", "*replay: pytest*::test_it' --groupcrypt-seed 0"])


def test_another_project_is_left_alone(run: pytest.Pytester) -> None:
    run.makeconftest(
        """
        import pytest

        def pytest_addoption(parser):
            parser.addoption("--seed", default=1)
            parser.addoption("--seeds", default=1)

        @pytest.fixture
        def party():
            return "mine"
        """
    )
    run.makepyfile(
        """
        import sys

        def test_it(party, pytestconfig):
            assert party == "mine" and pytestconfig.getoption("--seed") == "5"
            heavy = {"trio", "cryptography", "sqlite3", "msgpack", "hypothesis"}
            assert not heavy & set(sys.modules)
            mine = {name for name in sys.modules if name.startswith("groupcrypt")}
            assert mine == {
                "groupcrypt", "groupcrypt.testing", "groupcrypt.testing.pytest_plugin"
            }
        """
    )
    result = run.runpytest_subprocess(*PLUGIN, "--seed", "5", "-W", "error", "--strict-markers")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*groupcrypt: *")


def test_a_name_that_is_not_there_is_no_public_name() -> None:
    code = "import groupcrypt; assert 'Node' in dir(groupcrypt); groupcrypt.Nodes"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert "AttributeError: module 'groupcrypt' has no attribute 'Nodes'" in done.stderr


class Terminal:
    """What the progress line is written on."""

    isatty = True

    def __init__(self) -> None:
        self.lines: list[str] = []

    def rewrite(self, line: str, *, erase: bool) -> None:
        assert erase
        self.lines.append(line)


@pytest.mark.parametrize("isatty", [True, False])
def test_somebody_at_a_terminal_sees_progress(
    isatty: bool,  # noqa: FBT001  # a case
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pytest_plugin, "PERIOD", 0.0)
    terminal = Terminal()
    terminal.isatty = isatty
    plugins = SimpleNamespace(get_plugin=lambda _name: terminal)
    counter = Counter(cast("pytest.Config", SimpleNamespace(pluginmanager=plugins)))
    counter.played(time.monotonic() - 0.5)
    counter.tell(", seed 0 failed")
    assert bool(terminal.lines) == isatty
    if isatty:
        assert re.fullmatch(r"groupcrypt: 1 seeds in 0\.5 s, \d\.\d seeds/s ", terminal.lines[0])
        assert terminal.lines[1].endswith(", seed 0 failed ")


def test_the_package_brings_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"groupcrypt": pytest_plugin.__name__}
