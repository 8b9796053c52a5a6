"""Reports of messages: what they prove, and what is refused (spec 08.11)."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupcrypt.cli import main
from groupcrypt.cli.report import CLAIMED
from groupcrypt.errors import ContentTooLarge, RemoteError
from groupcrypt.protocol import limits, reports, wire
from groupcrypt.protocol.content import TextContent
from groupcrypt.protocol.reports import Messages
from groupcrypt.testing.vectors import ch08_sender_keys as chapter
from groupcrypt.testing.vectors.sender_keys_reports import Talker, talk
from groupcrypt.testing.vectors.sender_keys_scene import Scene

GROUP, SAID = talk()
RAW = reports.compose(GROUP, SAID)
TEXTS = ["no", "give it to me", "or else", "you will see", "help"]


def shown(raw: bytes) -> list[str]:
    contents = [one.said.content for one in reports.check(raw).messages]
    return [one.text for one in contents if isinstance(one, TextContent)]


@pytest.mark.spec("08.11-2", "08.11-4")
def test_the_order_is_that_of_the_messages_whoever_makes_the_report() -> None:
    """A clock that runs backwards puts nothing before what its device said earlier."""
    assert shown(RAW) == TEXTS
    assert reports.compose(GROUP, [*reversed(SAID), SAID[0]]) == RAW
    assert [one.epoch for one in reports.check(RAW).messages] == [5, 5, 5, 5, 6]


@pytest.mark.spec("08.11-1", "08.11-2", "08.11-3", "08.11-4")
def test_every_bad_vector_is_refused_and_each_kind_is_there() -> None:
    _, bad = chapter.generate()
    mine = [one for one in bad if one["spec"] == "08.11"]
    for vector in mine:
        with pytest.raises(RemoteError) as raised:
            chapter.run(vector["given"])
        assert raised.value.code == vector["expect"], vector["name"]
    codes = {"authentication-failed", "bad-key", "malformed", "not-allowed", "unsupported-version"}
    assert {one["expect"] for one in mine} == codes


@settings(max_examples=80)
@given(at=st.integers(0, len(RAW) - 1), bit=st.integers(0, 7))
def test_no_bit_of_a_report_can_be_changed(at: int, bit: int) -> None:
    """Broken by: not hashing the device's keys; by not comparing the order."""
    altered = RAW[:at] + bytes((RAW[at] ^ 1 << bit,)) + RAW[at + 1 :]
    with pytest.raises(RemoteError):
        reports.check(altered)


@settings(max_examples=50)
@given(raw=st.binary(max_size=200), cut=st.integers(0, len(RAW) - 1))
def test_what_is_no_report_ends_as_a_remote_error(raw: bytes, cut: int) -> None:
    for wrong in (raw, RAW[:cut], RAW[:cut] + raw):
        if wrong != RAW:
            with pytest.raises(RemoteError):
                reports.check(wrong)


@settings(max_examples=30)
@given(chosen=st.sets(st.integers(0, len(SAID) - 1), min_size=1))
def test_any_choice_is_a_report_of_just_these(chosen: set[int]) -> None:
    raw = reports.compose(GROUP, [SAID[index] for index in chosen])
    assert sorted(shown(raw)) == sorted(said(index) for index in chosen)
    others = [said(index).encode() for index in range(len(SAID)) if index not in chosen]
    assert not any(text in raw for text in others if len(text) > 2)


def said(index: int) -> str:
    (text,) = shown(reports.compose(GROUP, [SAID[index]]))
    return text


@pytest.mark.spec("08.11-8")
def test_no_key_of_a_report_opens_a_frame() -> None:
    """Nothing of the chain, of the epoch's keys, of a sibling is in it, plain or derived."""
    scene = Scene("what is not said")
    anna = Talker(scene, "anna")
    before = anna.theirs.core
    header, opened = anna.frame(b"a secret of anna", b"and another one")
    items = [TextContent("harmless"), TextContent("a threat")]
    evidence = anna.say(*((item, 1) for item in items))
    after = anna.theirs.core
    raw = reports.compose(scene.context.group, evidence[1:])
    secrets = [
        *(before.chain_key, before.carry, after.chain_key, after.carry),
        *(scene.keys.header, scene.keys.membership, anna.chain.chain_key, anna.chain.carry),
        *(*opened.openings, *opened.contents, *opened.ids, header.proof.signature),
        b"harmless",
    ]
    assert b"a threat" in raw
    assert not any(secret in raw for secret in secrets)


def test_too_much_for_one_report() -> None:
    scene = Scene("too much")
    anna = Talker(scene, "anna")
    evidence = [anna.say((TextContent("x" * 60_000), 1))[0] for _ in range(18)]
    with pytest.raises(ContentTooLarge):
        reports.compose(scene.context.group, evidence)
    assert len(reports.compose(scene.context.group, evidence[:17])) <= limits.MAX_REPORT_BYTES


@pytest.mark.spec("08.11-6")
def test_the_command_says_that_keys_are_only_claimed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report"
    file.write_bytes(RAW)
    assert main(["report", "verify", str(file)]) == 0
    printed = capsys.readouterr().out
    assert CLAIMED in printed
    assert all(text in printed for text in TEXTS)
    assert main(["report", "verify", str(file), "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(TEXTS) + 1
    assert '"keys": "claimed"' in lines[-1]


def test_the_command_refuses_an_altered_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    true = wire.decode(Messages, RAW, limits.MAX_REPORT_BYTES)
    file = tmp_path / "report"
    for altered, code in (
        (replace(true, group=bytes(32)), "authentication-failed"),
        (replace(true, statements=true.statements[::-1]), "malformed"),
    ):
        file.write_bytes(wire.encode(altered))
        assert main(["report", "verify", str(file)]) == 1
        printed = capsys.readouterr()
        assert code in printed.err
        assert not any(text in printed.out + printed.err for text in TEXTS[1:])
    assert main(["report", "verify", str(tmp_path / "none")]) == 1
