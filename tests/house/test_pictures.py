"""The pictures of the documents are what the code draws today, and each is shown somewhere."""

import shutil
from pathlib import Path

from groupcrypt.testing import scenes

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "spec" / "pictures"


def test_every_stored_picture_is_what_is_drawn() -> None:
    assert scenes.differing(PICTURES) == (), "groupcrypt pictures write; then look at them"


def test_every_picture_is_shown_in_a_document() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "README.md", *ROOT.glob("spec/*.md"))]
    shown = [scene for scene in scenes.SCENES if any(f"{scene.name}.svg" in t for t in texts)]
    assert shown == [*scenes.SCENES]


def test_an_old_a_missing_and_a_foreign_picture_are_found(tmp_path: Path) -> None:
    for path in PICTURES.glob("*.svg"):
        shutil.copy(path, tmp_path)
    old, missing = tmp_path / "add.svg", tmp_path / "race.svg"
    old.write_text(old.read_text("utf-8").replace("alice", "alicia", 1), "utf-8")
    missing.unlink()
    (tmp_path / "other.svg").write_text("<svg/>", "utf-8")
    assert scenes.differing(tmp_path) == ("add.svg", "other.svg", "race.svg")
    assert scenes.write(tmp_path) == ("add.svg", "other.svg", "race.svg")
    assert scenes.differing(tmp_path) == ()
