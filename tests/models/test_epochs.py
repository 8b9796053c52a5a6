"""The model in spec/models: the rule of epochs holds, and without any part of it it fails."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[2] / "spec" / "models"
REQUIRED = "GROUPCRYPT_REQUIRE_SPIN"  # set where the absence of spin has to be a failure
SECONDS = 120
ROW = re.compile(r"^\| `([A-Z_]+)` \| (?:`([A-Z_]+)` \| )?([^|]*) \|", re.MULTILINE)
README = (MODELS / "README.md").read_text("utf-8")
WORLD = (MODELS / "world.pml").read_text("utf-8")

# Instances that hold; rules that can be taken away, where, and the property that then fails.
INSTANCES = (
    "CONCURRENT",
    "EARLY_TIMER",
    "AWAY",
    "SUPERSEDER_AWAY",
    "VANISHED",
    "VANISHED_BOTH",
    "JOINING",
    "ADD_WAITS",
    "DROPPING",
    "LAST_ACCOUNT",
    "SENDING",
    "LAGGING",
    "HOSTILE_LOG",
    "HOSTILE_CONFIRM",
    "FORKING",
)
BROKEN = (
    ("WITHOUT_CONFIRM", "EARLY_TIMER", "liveness"),
    ("OWN_CONFIRM", "AWAY", "liveness"),
    ("TWO_PLACES", "EARLY_TIMER", "agreement"),
    ("APPLY_ON_ACK", "CONCURRENT", "agreement"),
    ("SETTLE_ON_ACK", "SENDING", "delivery"),
    ("RETRY_REUSES_SECRET", "CONCURRENT", "exclusion"),
    ("DERIVED_REMOVE", "CONCURRENT", "exclusion"),
    ("LETTERS_TO_BASE", "CONCURRENT", "exclusion"),
    ("ANSWER_ANYBODY", "CONCURRENT", "exclusion"),
    ("WELCOME_EARLY", "JOINING", "agreement"),
    ("ERASE_BEFORE_LIVE", "EARLY_TIMER", "carried"),
    ("CARRY_FROM_SUPERSEDED", "SUPERSEDER_AWAY", "carried"),
    ("STALL_AT_ANY", "HOSTILE_CONFIRM", "liveness"),
    ("STALL_AT_ANY", "SUPERSEDER_AWAY", "liveness"),
    ("SUPERSEDE_ALONE", "LAST_ACCOUNT", "liveness"),
    ("ONE_ENTRY_PER_LOG", "EARLY_TIMER", "one_entry"),
    ("JUMP_ALONE", "HOSTILE_LOG", "agreement"),
    ("JUMP_COUNTS_GIVEN", "HOSTILE_LOG", "agreement"),
    ("WITHOUT_JUMP", "LAGGING", "liveness"),
    ("WAIT_FOR_CONFIRM", "VANISHED", "liveness"),
    ("DROP_LOSING_REMOVAL", "VANISHED_BOTH", "liveness"),
    ("APPLY_ON_ACK", "LAST_ACCOUNT", "one_successor"),
    ("OPEN_UNTIL_KNOWN", "SENDING", "one_epoch"),
    ("WITHOUT_GOSSIP", "FORKING", "fork_seen"),
)


@pytest.fixture(scope="module")
def tools() -> None:
    """Debian's `spin` and a C compiler; without them a user's tests skip, and the gate fails."""
    missing = [name for name in ("spin", "gcc") if shutil.which(name) is None]
    if missing and os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, but there is no {' and no '.join(missing)}")
    if missing:
        pytest.skip(f"no {' and no '.join(missing)}: apt-get install spin gcc")


def checked(folder: Path, *defines: str, search: tuple[str, ...] = ()) -> str:
    """What spin's verifier says of the model with these definitions."""
    compiler = ["-DNP"] if "-l" in search else ["-DSAFETY"]
    for command in (
        ["spin", *(f"-D{name}" for name in defines), "-a", str(MODELS / "epochs.pml")],
        ["gcc", "-O0", "-w", *compiler, "-o", "pan", "pan.c"],  # to optimize takes longer
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=SECONDS)
    command = ["./pan", "-m10000", *search]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=SECONDS)
    return done.stdout.decode() + done.stderr.decode()


def property_of(said: str) -> str | None:
    """The property whose assertion failed."""
    found = re.search(r"assertion violated \(+([a-z_]+)\|\|", said)
    return None if found is None else found[1]


@pytest.mark.parametrize("instance", INSTANCES)
def test_the_rule_holds_in_every_run(tools: None, tmp_path: Path, instance: str) -> None:
    said = checked(tmp_path, instance)
    assert "errors: 0" in said, said
    assert "max search depth too small" not in said
    assert "Search not completed" not in said
    print(instance, re.search(r"\d+ states, stored", said))


@pytest.mark.parametrize(("rule", "instance", "failing"), BROKEN)
def test_without_a_rule_it_fails(
    tools: None, tmp_path: Path, rule: str, instance: str, failing: str
) -> None:
    said = checked(tmp_path, instance, rule)
    assert "errors: 1" in said, said
    assert property_of(said) == failing


@pytest.mark.parametrize("instance", ["CONCURRENT", "VANISHED"])
def test_no_run_goes_on_for_ever(tools: None, tmp_path: Path, instance: str) -> None:
    """So that every run reaches a last state, where liveness is judged."""
    said = checked(tmp_path, instance, search=("-l",))
    assert "errors: 0" in said, said


def test_each_property_fails_somewhere() -> None:
    """An assertion that no rule taken away can reach would hold for no reason."""
    declared = re.search(r"^hidden byte (agreement.*);$", WORLD, re.MULTILINE)
    assert declared is not None
    assert set(declared[1].split(", ")) == {failing for _, _, failing in BROKEN}


def test_the_readme_lists_what_is_run() -> None:
    rows = {(name, inside or None, says.strip()) for name, inside, says in ROW.findall(README)}
    told = {(name, inside) for name, inside, _ in rows}
    assert told == {(name, None) for name in INSTANCES} | {(rule, i) for rule, i, _ in BROKEN}
    for rule, instance, failing in BROKEN:
        assert (rule, instance, failing) in rows
