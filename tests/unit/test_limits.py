"""The numbers of the protocol hang together; that they are the spec's is a house test (spec 01)."""

import re
from pathlib import Path

import pytest

from groupcrypt.protocol import limits

TABLE = (Path(__file__).parents[2] / "spec" / "01-limits.md").read_text("utf-8")


@pytest.mark.spec("01.1-1")
def test_wire_limits_are_exactly_those_of_the_table() -> None:
    wire = TABLE.split("## 01.2 ")[0]
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (\d+) \|", wire, re.MULTILINE)
    assert len(rows) > 20
    assert {name: getattr(limits, name) for name, _ in rows} == {
        name: int(number) for name, number in rows
    }


def test_what_is_carried_fits_into_what_carries_it() -> None:
    eight_devices = 8 * 240 + limits.MAX_LIST_ANCESTORS * 34 + 128
    assert eight_devices <= limits.MAX_DEVICE_LIST_BYTES
    assert limits.MAX_DEVICE_LIST_BYTES < limits.MAX_ENTRY_BYTES < limits.MAX_RECORD_BYTES
    assert limits.MAX_CONTENT_BYTES < limits.MAX_BUNDLE_BYTES < limits.MAX_RECORD_BYTES
    assert limits.MAX_PAIRWISE_BYTES < limits.MAX_RECORD_BYTES
    assert limits.MAX_SKIPPED_PER_CHAIN <= limits.MAX_FORWARD_JUMP
