"""`groupcrypt simulate` and `groupcrypt pictures`: what they print, draw and end with."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from groupcrypt import cli
from groupcrypt.cli import outcome, simulate
from groupcrypt.protocol import device
from groupcrypt.protocol.device.state import DeviceState, Step, TopicRecord
from groupcrypt.protocol.events import MessageReceived
from groupcrypt.protocol.primitives import Entropy
from groupcrypt.testing import scenes
from groupcrypt.testing.trace import Trace
from groupcrypt.testing.world import (
    Case,
    Driver,
    Faults,
    Played,
    actions,
    played,
    read_case,
    replayed,
)

Capture = pytest.CaptureFixture[str]
QUICK = ["simulate", "--seed", "3", "--steps", "120", "--devices", "3"]


def objects(capsys: Capture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: a device that reads messages and does not tell of them."""
    receive = device.receive

    def forgets(state: DeviceState, record: TopicRecord, *, now: float, entropy: Entropy) -> Step:
        step = receive(state, record, now=now, entropy=entropy)
        kept = tuple(event for event in step.events if not isinstance(event, MessageReceived))
        return Step(step.state, step.changes, kept)

    monkeypatch.setattr(device, "receive", forgets)


# --- a seed that holds --------------------------------------------------------------------------


def test_a_run_says_what_was_done_and_what_held_and_the_same_again(capsys: Capture) -> None:
    shown: list[str] = []
    for _ in range(2):
        assert cli.main(QUICK) == outcome.OK
        shown.append(re.sub(r"[\d.,]+ (seeds/s|steps/s|seconds)", r"\1", capsys.readouterr().out))
    assert shown[0] == shown[1]
    assert re.match(r"seed 3: 3 devices, \d+ actions, \d+ steps, \d+ lines of trace", shown[0])
    for name in ("done", "happened", "faults", "key use", "delivery", "no loss"):
        assert re.search(rf"^{name} ", shown[0], re.MULTILINE)


def test_as_objects_each_seed_has_its_verdicts_and_the_digest_of_its_trace(capsys: Capture) -> None:
    assert cli.main([*QUICK, "--seeds", "2", "--json"]) == outcome.OK
    first, second, end = objects(capsys)
    assert [each["seed"] for each in (first, second)] == [3, 4]
    assert first["held"] and set(first["verdicts"].values()) == {"held"}
    assert len(first["trace"]) == 64 and first["trace"] != second["trace"]
    assert first["done"]["found"] >= 1 and first["happened"]["join"] >= 1
    assert end["type"] == "end" and end["seeds"] == 2


def test_faults_are_what_the_line_says(capsys: Capture) -> None:
    cli.main([*QUICK, "--loss", "0", "--json"])
    none, *_ = objects(capsys)
    cli.main([*QUICK, "--loss", "0.4", "--json"])
    many, *_ = objects(capsys)
    assert "lost" not in none["faults"] and many["faults"]["lost"] > 0


def test_its_picture_and_its_trace_are_of_the_same_run(capsys: Capture, tmp_path: Path) -> None:
    drawn, written = tmp_path / "run.svg", tmp_path / "run.trace"
    line = [*QUICK, "--picture", str(drawn), "--trace", str(written), "--mermaid"]
    assert cli.main(line) == outcome.OK
    assert "\nsequenceDiagram\n" in capsys.readouterr().out
    digest = Trace.read(written.read_text("utf-8")).digest()
    assert digest[:16] in drawn.read_text("utf-8")


@pytest.mark.parametrize(
    "line",
    [
        ["--devices", "1"],
        ["--devices", "21"],
        ["--seeds", "0"],
        ["--loss", "1"],
        ["--steps", "many"],
    ],
)
def test_senseless_arguments_are_wrong_usage(line: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", *line])
    assert ended.value.code == outcome.USAGE
    assert "error:" in capsys.readouterr().err


def test_a_picture_of_nobody_is_wrong_usage(capsys: Capture, tmp_path: Path) -> None:
    line = [*QUICK, "--picture", str(tmp_path / "x.svg"), "--focus", "zoe", "--since", "999999"]
    assert cli.main(line) == outcome.USAGE
    assert "give other --focus" in capsys.readouterr().err


# --- one that fails -----------------------------------------------------------------------------


@pytest.mark.usefixtures("forgetful")
def test_a_failure_is_shown_small_and_played_again_from_its_text(
    capsys: Capture, tmp_path: Path
) -> None:
    drawn, script = tmp_path / "failed.svg", tmp_path / "script.txt"
    line = ["--steps", "60", "--devices", "3", "--json", "--picture", str(drawn)]
    assert cli.main(["simulate", *line]) == outcome.FAILED
    *_, failure = objects(capsys)
    assert failure["type"] == "failure" and failure["actions"] < failure["of"]
    assert failure["complaints"][0].startswith("delivery: ")
    assert "delivery: " in drawn.read_text("utf-8")
    script.write_text(failure["script"], "utf-8")
    assert cli.main(["simulate", "--script", str(script)]) == outcome.FAILED
    shown = capsys.readouterr().out
    assert failure["script"] in shown and failure["complaints"][0] in shown


def test_ctrl_c_says_what_was_found_so_far(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(driver: Driver, seed: int, *, steps: int) -> Played:
        if seed == 5:
            raise KeyboardInterrupt
        return played(driver, seed, steps=steps)

    monkeypatch.setattr(simulate, "played", interrupted)
    assert cli.main([*QUICK, "--seeds", "9"]) == outcome.INTERRUPTED
    assert re.search(r"^2 seeds, ", capsys.readouterr().out, re.MULTILINE)


# --- scripts as text ----------------------------------------------------------------------------


def every_action() -> list[actions.Action]:
    """One of each kind."""
    values: dict[object, object] = {int: 2, float: 1.5, bool: False, str: "alice"}
    values |= {kind: [*kind][-1] for kind in (actions.Point, actions.Way, actions.Lie)}
    values[actions.Point | None] = actions.Point.SENT
    values[int | None] = 60
    kinds = [each for each in vars(actions).values() if isinstance(each, type)]
    return [
        kind(*[values[each.type] for each in fields(kind)])
        for kind in kinds
        if issubclass(kind, actions.Action) and kind is not actions.Action
    ]


def test_every_action_is_read_as_it_was_written() -> None:
    script = tuple(every_action())
    assert len(script) > 20
    case = Case(7, "alice bob", Faults(loss=0.25, delay=1.5), 0.5, script)
    assert read_case(case.code()) == case


@pytest.mark.parametrize("seed", range(6))
def test_a_script_that_was_drawn_is_read_as_it_was_written(seed: int) -> None:
    world = played(Driver(seed), seed, steps=80).world
    case = Case(seed, world.names, world.faults, world.pace, tuple(world.script))
    assert read_case(case.code()) == case
    assert replayed(read_case(case.code())).world.trace.digest() == world.trace.digest()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 0: not a script"),
        ("World(7, 'alice')", "is wanted"),
        ("World(7, 'alice').play(", "not a script"),
        ("World(7).play().settle()", "line 1: World"),
        ("World(7, 'alice', evil=1).play()", "line 1: World"),
        ("World(open('x'), 'alice').play()", "only constants"),
        ("World(7, 'alice').play(\n  Wait(1.0),\n  exit(),\n)", "line 3: no such action"),
        ("World(7, 'alice').play(Wait(exit()))", "only constants"),
        ("World(7, 'alice').play(Wait())", "missing"),
        ("World(7, 'alice').play(*[Wait(1.0)])", "no such action"),
        ("World(7, 'alice').play(Wait(**{'seconds': 1.0}))", "line 1"),
        ("__import__('os').system('true')", "is wanted"),
    ],
)
def test_any_other_text_is_refused_with_its_line_and_not_run(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        read_case(text)


def test_a_file_that_is_no_script_is_wrong_usage(capsys: Capture, tmp_path: Path) -> None:
    script = tmp_path / "script.txt"
    script.write_text("print('hello')", "utf-8")
    assert cli.main(["simulate", "--script", str(script)]) == outcome.USAGE
    assert "groupcrypt: usage: " in capsys.readouterr().err


# --- the pictures of the documents --------------------------------------------------------------


def test_pictures_are_written_checked_and_found_old(capsys: Capture, tmp_path: Path) -> None:
    assert cli.main(["pictures", "check", str(tmp_path)]) == outcome.FAILED
    assert cli.main(["pictures", "write", str(tmp_path)]) == outcome.OK
    assert capsys.readouterr().out.count("wrote ") == len(scenes.SCENES)
    assert cli.main(["pictures", "check", str(tmp_path), "--json"]) == outcome.OK
    assert objects(capsys) == [{"type": "report", "folder": str(tmp_path), "differing": []}]
    assert cli.main(["pictures", "check", str(tmp_path / "none")]) == outcome.USAGE
