"""The bench: every row comes out, on its floor and against its target. How fast is not asked."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from groupcrypt import cli
from groupcrypt.cli import bench
from groupcrypt.cli.bench import changes, floors, groups, histories, messages, rounds, storage
from groupcrypt.cli.bench.floors import Needs
from groupcrypt.cli.bench.rounds import Body, Case, Size, Target
from groupcrypt.cli.bench.worlds import NOW, warm, world
from groupcrypt.protocol import device
from groupcrypt.protocol.device import records
from groupcrypt.protocol.events import Departed, EpochLive, GroupJoined, MessageReceived

Capture = pytest.CaptureFixture[str]
TINY = bench.Extent(sizes=(4,), order=3, jump=70, rounds=1, slow_rounds=1, messages=200, sweep=20)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "QUICK", TINY)


def every_name(folder: Path) -> list[str]:
    return [row.name for row in bench.all_rows(TINY, folder)]


# --- the command ---------------------------------------------------------------------------------


def test_quick_prints_every_row_as_a_table(tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["bench", "--quick"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    for name in every_name(tmp_path):
        assert any(line.startswith(f"{name} ") for line in lines), name
    assert shown.err == ""  # no progress where nobody watches


def test_json_has_every_row_with_its_floor_and_target(tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["bench", "--quick", "--json"]) == 0
    machine, *found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert machine["type"] == "machine"
    assert [row["name"] for row in found] == every_name(tmp_path)
    for row in found:
        assert row["type"] == "measure"
        assert row["ours"]["low"] <= row["ours"]["median"] <= row["ours"]["high"]
        assert (row["met"] is None) == (row["target"] is None)
        if row["unit"] in rounds.SCALE:
            assert (row["floor"] is None) == (row["needs"] == "")
        else:
            assert row["floor"] is None
    names = [row["name"] for row in found if row["target"] is not None]
    assert {"seal 100 bytes", "open 100 bytes", "open after a gap of 70"} <= set(names)


def test_only_chooses_rows_by_section_and_name(capsys: Capture) -> None:
    assert cli.main(["bench", "--quick", "--json", "--only", "messages: seal bundle"]) == 0
    _, *found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(found) == 3
    assert all(row["name"].startswith("seal bundle of") for row in found)


# --- what it measures is what it says ------------------------------------------------------------


def test_the_world_is_a_group_at_rest_that_a_store_can_hold() -> None:
    made = world(4)
    warm(made)
    for state in (made.author, made.member, made.joiner):
        assert device.load(records.diff(None, state)) == state  # type: ignore[arg-type]  # nothing is deleted
    author, member = made.held(made.author), made.held(made.member)
    assert author.hashes == member.hashes
    assert len(author.roster.devices) == made.size
    assert len(author.head.chains) == len(member.head.chains) == made.size - 1


def test_what_the_author_sends_is_what_the_member_opens() -> None:
    made = world(4)
    step = groups.sent(made, made.author)
    (request,) = changes.uploads(step, made.author)
    (event,) = changes.given(made.member, changes.record_of(request, 1)).events
    assert isinstance(event, MessageReceived)
    assert event.said.content == groups.TEXT
    events = changes.given(made.member, storage.frame(made, 32)).events
    assert [type(event) for event in events] == [MessageReceived] * 32


def test_a_first_message_takes_a_letter_to_each_other_device() -> None:
    made = world(4)
    before = groups.without_chain(made, made.author)
    step = groups.sent(made, before)
    assert len(changes.letters(step, before)) == made.size - 1
    assert len(changes.uploads(step, before)) == 1


def test_a_removal_goes_through_at_author_and_member() -> None:
    made = world(4)
    removed = changes.Removed.of(made)
    assert len(removed.author_letters) == made.size - 2
    state = changes.given(made.member, removed.letter).state
    without = removed.entered_without_secret()
    assert made.held(without).head.keys is None
    for start in (state, removed.step.state):
        entered = changes.given(start, removed.entry)
        live = changes.given(entered.state, removed.confirm, NOW + changes.LATER)
        assert [type(event) for event in live.events] == [EpochLive]
        assert made.removed not in made.held(live.state).roster.members
        assert len(made.held(live.state).head.chains) == made.size - 2
    for part in (removed.author_changes, removed.author_is_answered, removed.author_enters):
        part()
    removed.member_follows()


def test_a_join_ends_with_the_joiner_in_the_group() -> None:
    made = world(4)
    joined = changes.Joined.of(made)
    state, kinds = made.joiner, []
    for letter in joined.welcome:
        step = changes.given(state, letter)
        state = step.state
        kinds += [type(event) for event in step.events]
    assert GroupJoined in kinds
    assert Departed not in kinds
    assert len(made.held(state).roster.devices) == made.size + 1
    assert len(state.people) == made.size
    joined.author_adds()
    joined.member_follows()


def test_the_frames_of_a_row_open() -> None:
    start = messages.talk()
    chain = start.receiving
    for frame in messages.frames_of(start.sending, 3, 2, 100)[::-1]:
        chain = messages.opened(chain, frame)
    assert chain.iteration == 4
    assert chain.skipped == {}


def test_the_padded_size_in_the_floors_is_the_frames() -> None:
    start = messages.talk()
    for count, size in ((1, 100), (32, 100), (1, 10_240)):
        (frame,) = messages.frames_of(start.sending, 1, count, size)
        front, tags = 1 + 32 + 50 + 64 + 16, 2 * 16
        assert len(frame) == messages.bundle_bytes(count, size) + front + tags


def test_a_letter_is_counted_as_the_server_stores_it() -> None:
    made = world(4)
    letters = changes.Removed.of(made).author_letters
    rows = {row.name: row for row in groups.rows((4,)) if isinstance(row, Size)}
    total = rows["removal, bytes of the author, n = 4"].count()
    assert total > sum(len(letter.body) for letter in letters) > total / 2


# --- how it measures -----------------------------------------------------------------------------


def count(calls: list[str], name: str) -> rounds.Maker:
    def make() -> Body:
        calls.append(f"make {name}")
        return lambda: calls.append(name)

    return make


def case(calls: list[str], name: str, *, slow: bool = False) -> Case:
    ours, floor = count(calls, name), count(calls, f"floor of {name}")
    return Case("s", name, "us", 1, ours, floor, "", slow=slow)


def test_rows_take_turns_beside_their_floors_and_slow_ones_stop_early() -> None:
    calls: list[str] = []
    rows = [case(calls, "a"), case(calls, "b", slow=True)]
    figures = rounds.measure(
        rows, count(calls, "v"), rounds=2, slow_rounds=1, progress=lambda _: None
    )
    both = ["v", "a", "floor of a", "b", "floor of b"]
    expected = [*both, *both, *both[:3]]  # the first round warms up
    assert calls == [said for name in expected for said in (f"make {name}", name)]
    assert [figure.rounds for figure in figures] == [2, 1]


@pytest.mark.parametrize(
    ("what", "value"), [("ratio", 2.0), ("verifications", 0.5), ("value", 7.0)]
)
def test_a_target_is_met_up_to_its_number(what: str, value: float) -> None:
    def met(target: Target | None) -> bool | None:
        spread = rounds.Spread(7.0, 6.0, 8.0)
        row = replace(case([], "a"), target=target)
        return rounds.Figure(row, spread, spread, 2.0, 0.5, 9.0, 3).met

    assert met(None) is None
    assert met(Target(what, value)) is True
    assert met(Target(what, value - 0.1)) is False


def test_a_floor_does_what_it_says() -> None:
    needs = Needs(
        sign=1,
        verify=1,
        signing_keys=1,
        dh_keys=2,
        dh=2,
        kem_keys=1,
        encapsulate=1,
        decapsulate=1,
        hmac=(1, 2),
        sha=(3,),
        seal=(4,),
        unseal=(5,),
    )
    floors.bare((2, needs))()()
    assert needs.text() == (
        "1 Ed25519 sign, 1 Ed25519 verify, 1 Ed25519 keygen, 2 X25519 keygen, 2 X25519, "
        "1 ML-KEM keygen, 1 ML-KEM encaps, 1 ML-KEM decaps, 2 HMAC, 1 SHA-256, 2 AES-GCM"
    )


def test_held_bytes_are_those_of_what_was_made() -> None:
    assert 100_000 <= storage.allocated(lambda: bytes(100_000)) < 110_000


def test_a_file_is_measured_through_real_processes(capsys: Capture) -> None:
    assert cli.main(["bench", "files", "--size", "1", "--json"]) == 0
    rows = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert [*rows] == [
        *("AES-GCM", "TLS copy", "upload", "download"),
        *("memory, sender", "memory, receiver", "memory, server"),
    ]
    floor = min(rows[name]["value"] for name in ("AES-GCM", "TLS copy"))
    for name in ("upload", "download"):
        assert rows[name]["ratio"] == pytest.approx(rows[name]["value"] / floor, rel=0.01)
        assert rows[name]["met"] == (rows[name]["ratio"] >= 0.5)
    for name in ("sender", "receiver", "server"):
        assert 10 < rows[f"memory, {name}"]["value"] < 1_000


def test_a_history_is_searched_to_its_oldest_message_and_swept_to_the_last(tmp_path: Path) -> None:
    kept = histories.Kept(tmp_path / "history", 300)
    (oldest,) = kept.search()
    assert oldest.number == 1
    kept.opening()()
    assert kept.search() == [oldest]
    sweep = kept.sweeping(600)
    assert len(kept.store.read(lambda history: history.due(1, 1_000))) == 600
    sweep()
    assert not kept.store.read(lambda history: history.due(1, 1_000))
    kept.store.close()
