"""Nodes report messages, and check reports of others (spec 08.11)."""

from dataclasses import replace
from pathlib import Path

import pytest
import trio

from groupcrypt.cli import main
from groupcrypt.cli.report import KNOWN
from groupcrypt.errors import AuthenticationFailed, NotReportable, UnknownSigner
from groupcrypt.node import KEY_FILE, STORE_FILE
from groupcrypt.protocol.content import Reference
from groupcrypt.protocol.conversation import read_kept, text_of, write_kept
from groupcrypt.protocol.identifiers import MessageId
from groupcrypt.protocol.reports import CheckedReport
from groupcrypt.store import History, MemoryStore, SqliteStore, create_key_file
from tests.shell.scene import group_of, texts, world
from tests.shell.test_node_history import see, two


def told(checked: CheckedReport) -> list[str]:
    return [text_of(one.said.content) for one in checked.messages]


@pytest.mark.spec("08.11-5")
async def test_a_member_reports_what_it_was_told_and_another_one_checks_it(
    autojump_clock: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also with the newest edit, when its epoch is over, and without a network."""
    async with world() as here, here.node("alice") as alice, here.node("bob") as bob:
        async with here.node("carol") as carol, here.node("mallory") as mallory:
            ours, theirs, _ = await group_of(alice, bob, carol)
            first = await ours.send("give it to me")
            await ours.send("a private matter")
            await ours.settled(await ours.edit(first, "give it to me or else"))
            for node in (bob, carol):
                await texts(node, 3)
            await ours.update()
            chosen = [one for one in await theirs.history() if one.kept.line.edited]
            raw = await theirs.report(chosen)
            assert b"private" not in raw
            for node in (bob, carol):
                checked = await node.check_report(raw)
                assert told(checked) == ["give it to me", "give it to me or else"]
                assert {one.sender for one in checked.messages} == {alice.account}
            with pytest.raises(UnknownSigner):
                await mallory.check_report(raw)
            with pytest.raises(AuthenticationFailed):
                await carol.check_report(raw.replace(b"or else", b"or elsa"))
        copied(here.places["carol"].store, tmp_path)
        file = tmp_path / "report"
        file.write_bytes(raw)
        verify = ["report", "verify", str(file), "--home", str(tmp_path)]
        assert main(verify) == 0
        assert KNOWN in capsys.readouterr().out
        empty = tmp_path / "empty"
        copied(here.places["mallory"].store, empty)
        assert main([*verify[:-1], str(empty)]) == 3
        assert "unknown-signer" in capsys.readouterr().err


@pytest.mark.spec("08.11-7")
async def test_what_disappeared_or_was_deleted_cannot_be_reported(autojump_clock: object) -> None:
    """Broken by: keeping the evidence elsewhere than in the message's row."""
    async with two() as (here, alice, bob, ours, theirs):
        timed = await ours.send("this will vanish", expires_after=5)
        deleted = await ours.send("this will be taken back")
        await ours.settled(deleted)
        await texts(bob, 2)
        both = [Reference(alice.account, one) for one in (timed, deleted)]
        assert len((await bob.check_report(await theirs.report(both))).messages) == 2
        await see(bob, theirs)
        await ours.settled(await ours.delete(deleted))
        await texts(bob, 1)
        await trio.sleep(6)
        for one in both:
            with pytest.raises(NotReportable):
                await theirs.report([one])
        kept = here.places["bob"].store.read(lambda history: [history.at(n) for n in range(99)])
        values = [row.value for row in kept if row is not None]
        assert values
        assert not any(b"this will" in value for value in values)


@pytest.mark.spec("08.11-7")
async def test_what_nothing_proves_is_not_reported(autojump_clock: object) -> None:
    async with two() as (_, alice, bob, ours, theirs):
        message = await ours.send("hello")
        await ours.settled(message)
        await alice.contact(bob.account).send("between us")
        await texts(bob, 2)
        direct = bob.contact(alice.account)
        (between,) = await direct.history()
        with pytest.raises(NotReportable, match="denied"):
            await direct.report([between])
        with pytest.raises(NotReportable, match="own message"):
            await ours.report([ours.mine(message)])
        with pytest.raises(NotReportable, match="never was"):
            await theirs.report([theirs.mine(MessageId(bytes(16)))])
        with pytest.raises(NotReportable, match="no message"):
            await theirs.report([])


async def test_a_store_of_before_has_no_evidence_and_says_so(autojump_clock: object) -> None:
    """As a message that came as a resend, or to an earlier version."""
    async with two() as (here, _, bob, ours, theirs):
        await ours.settled(await ours.send("hello"))
        await texts(bob, 1)
        (one,) = await theirs.history()

        def without(history: History) -> None:
            row = history.at(one.number)
            assert row is not None
            kept = replace(read_kept(row.value), proof=b"")
            history.replace(replace(row, value=write_kept(kept)))

        here.places["bob"].store.commit({}, without)
        with pytest.raises(NotReportable, match="without a proof"):
            await theirs.report([one])


def copied(store: MemoryStore, home: Path) -> None:
    """A node's folder with the store that a node had in memory."""
    home.mkdir(exist_ok=True)
    create_key_file(home / KEY_FILE)
    made = SqliteStore.create(home / STORE_FILE, key_file=home / KEY_FILE)
    rows = store.read(lambda history: [history.at(number) for number in range(1, 99)])
    made.commit(
        {**store.rows()}, lambda history: [history.add(row) for row in rows if row is not None]
    )
    made.close()
