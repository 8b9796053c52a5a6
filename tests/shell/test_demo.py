"""The demonstration as a newcomer starts it, and that it can fail (README)."""

import json
import subprocess
import sys
from pathlib import Path

from groupcrypt.cli import outcome, proof
from groupcrypt.cli.demo import _Show  # pyright: ignore[reportPrivateUsage]


def test_every_claim_of_the_demo_holds() -> None:
    played = subprocess.run(  # our own command
        [sys.executable, "-m", "groupcrypt", "demo", "--json"],
        capture_output=True,
        timeout=120,
        check=False,
    )
    lines = [json.loads(line) for line in played.stdout.splitlines()]
    claims = [line for line in lines if line["type"] == "claim"]
    assert [claim["text"] for claim in claims if not claim["holds"]] == []
    assert len(claims) == 12
    assert lines[-1]["holds"]
    assert played.returncode == outcome.OK
    assert played.stderr == b""


def test_a_claim_that_does_not_hold_is_a_failure() -> None:
    show = _Show(json_lines=True)
    show.claim("the moon is made of cheese", holds=False)
    show.claim("water is wet")
    assert show.end() == outcome.FAILED


def test_the_search_of_the_demo_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "page").write_bytes(b"\0\1alice lindgren\2")
    assert proof.found_in(tmp_path, [b"alice lindgren", b"bob okonkwo"]) == [b"alice lindgren"]
