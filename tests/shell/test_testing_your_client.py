"""Every block of Python in spec/testing-your-client.md is a test file, and passes as it stands."""

import re
from pathlib import Path

import pytest

from groupcrypt.testing.party import Party

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "spec" / "testing-your-client.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NAMES = [re.findall(r"def (test_\w+)", block)[0] for block in BLOCKS]


@pytest.mark.parametrize("block", BLOCKS, ids=NAMES)
def test_a_block_passes(
    block: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # it may be installed or not
    pytester.makepyfile(block)
    result = pytester.runpytest("-p", "groupcrypt.testing.pytest_plugin")
    result.assert_outcomes(passed=1)


def test_there_are_as_many_blocks_as_were_written() -> None:
    assert len(BLOCKS) == PAGE.count("```python") == 6


def test_every_call_of_the_table_is_one() -> None:
    calls = re.findall(r"`(?:await )?p\.(\w+)\(", PAGE)
    assert {"cut", "kill", "crash_server", "complaints"} <= set(calls)
    assert [name for name in calls if not hasattr(Party, name)] == []
