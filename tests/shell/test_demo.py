"""The demonstration as a newcomer starts it, and that it can fail (README)."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from groupcrypt.cli import outcome, proof
from groupcrypt.cli.show import BAR, Show, bar
from groupcrypt.store import HistoryRow, SqliteStore, create_key_file


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
    assert len(claims) == 17
    assert lines[-1]["holds"]
    assert played.returncode == outcome.OK
    assert played.stderr == b""


def test_a_claim_that_does_not_hold_is_a_failure() -> None:
    show = Show(json_lines=True)
    show.claim("the moon is made of cheese", holds=False)
    show.claim("water is wet")
    assert show.end() == outcome.FAILED


def test_the_search_of_the_demo_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "page").write_bytes(b"\0\1alice lindgren\2")
    assert proof.found_in(tmp_path, [b"alice lindgren", b"bob okonkwo"]) == [b"alice lindgren"]


def test_what_lies_on_disk_of_a_text_is_found_and_gone_when_it_is_erased(tmp_path: Path) -> None:
    home, copy, text = tmp_path / "home", tmp_path / "copy", b"between us"
    home.mkdir()
    create_key_file(home / "device.key")
    row = HistoryRow(1, b"conversation", b"reference", b"says between us", "between us")
    with SqliteStore.create(home / "device.db", key_file=home / "device.key") as store:
        store.commit({b"a": b"other", b"b": b"and between us"}, lambda history: history.add(row))
        shutil.copytree(home, copy)  # while it is open
        sealed = proof.sealed_with(copy, text)
        assert len(sealed) == 4  # two rows, each with its salt
        pieces = proof.pieces_of(sealed)
        assert proof.found_in(home, pieces) == pieces == proof.found_in(copy, pieces)
        assert proof.found_in(home, [text]) == []  # not even now: it is sealed
        store.commit({b"b": None}, lambda history: history.remove(1))
        assert proof.found_in(home, pieces)  # in the log at least
        assert store.purge().complete
        assert proof.found_in(home, pieces) == []
        shutil.rmtree(copy)
        shutil.copytree(home, copy)
        assert proof.sealed_with(copy, text) == []


def test_a_bar_is_as_long_as_its_share_and_moves_only_on_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert bar(1 << 20, 4 << 20) == f"[{'#' * 6}{'.' * 18}]  25%  1.0 of 4.0 MiB"
    assert bar(0, 0).count("#") == BAR
    for done in (1, 2):
        Show(json_lines=False).progress("sent", done, 2)
        Show(json_lines=True).progress("sent", done, 2)
    assert capsys.readouterr().out == f"   sent     {bar(2, 2)}\n"
