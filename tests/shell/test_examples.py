"""The examples run as they stand, and README shows the first of them word for word."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(name: str, folder: Path) -> list[str]:
    """Run an example as a stranger would, elsewhere and with every warning an error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", str(EXAMPLES / name)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout.splitlines()


def test_the_quickstart_makes_adds_talks_and_removes(tmp_path: Path) -> None:
    said = run("quickstart.py", tmp_path)
    assert [line for line in said if line.startswith("bob")] == [
        "bob reads <alice> see you at six",
        "bob reads <alice> carol does not read this",
        "bob is out, and reads nothing from now on",
    ]
    assert [line for line in said if line.startswith("carol")] == [
        "carol reads <alice> see you at six",
        "carol is out, and reads nothing from now on",
    ]
    assert list(tmp_path.iterdir()) == []  # it cleans up


def test_two_devices_are_driven_by_hand(tmp_path: Path) -> None:
    said = run("sans_io_loop.py", tmp_path)
    assert said == ["bob reads: see you at six", "alice reads: i bring the rope"]


@pytest.mark.parametrize(("name", "most"), [("quickstart.py", 39), ("sans_io_loop.py", 72)])
def test_an_example_fits_a_screen(name: str, most: int) -> None:
    assert len((EXAMPLES / name).read_text("utf-8").splitlines()) <= most


def test_the_readme_shows_the_quickstart_word_for_word() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    _, _, after = text.partition("<!-- quickstart -->\n```python\n")
    shown, _, _ = after.partition("```\n<!-- /quickstart -->\n")
    assert shown == (EXAMPLES / "quickstart.py").read_text("utf-8")
