"""`groupcrypt.__all__` is exactly the list of public names that spec/README.md documents."""

import re
from pathlib import Path
from types import ModuleType

import groupcrypt

ROOT = Path(__file__).parents[2]


def documented() -> list[str]:
    text = (ROOT / "spec" / "README.md").read_text("utf-8")
    section = text.split("\n## Public names\n")[1].split("\n## ")[0]
    listed = re.findall(r"^- (.*?)(?::|$)", section, flags=re.MULTILINE)
    return [name for line in listed for name in re.findall(r"`(\w+)`", line)]


def test_every_public_name_is_documented_and_the_other_way_round() -> None:
    assert sorted(groupcrypt.__all__) == sorted(documented())
    assert len(set(groupcrypt.__all__)) == len(groupcrypt.__all__)


def test_every_public_name_exists_and_says_what_it_is() -> None:
    for name in groupcrypt.__all__:
        assert getattr(groupcrypt, name).__doc__, f"{name} has no docstring"


def test_nothing_else_looks_public() -> None:
    seen = {
        name
        for name, value in vars(groupcrypt).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert seen <= set(groupcrypt.__all__)
