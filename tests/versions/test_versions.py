"""A device, and a server, of each earlier version: they open, know what they knew, and go on."""

import tarfile
from pathlib import Path

import pytest
import trio

from groupcrypt.protocol.device.records import SCHEMA
from tests.versions.scene import START, texts, town

ARCHIVES = sorted(Path(__file__).parent.glob("*.tar.xz"))
DAY = 86_400.0


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.partition(".")[0])
async def test_a_store_of_an_earlier_version_opens_and_goes_on(
    archive: Path, tmp_path: Path
) -> None:
    """What waited is read, what was written arrives, and everybody takes part in what comes.

    Broken by: a stored shape that changes without an upgrade.
    """
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    with trio.fail_after(60):
        async with (
            town(tmp_path, START + DAY / 2) as place,
            place.serving(),
            place.node("alice") as alice,
            place.node("bob") as bob,
            place.node("carol") as carol,
        ):
            (group,) = alice.groups
            assert group.title == "climbers"
            assert group.settings.timer == DAY
            assert alice.contact(bob.account).verified
            assert {one.account for one in group.members} == {
                alice.account,
                bob.account,
                carol.account,
            }
            unread = await texts(bob, 3)
            assert unread == ["only for you", "bring a rope", "written while the server was off"]
            assert await texts(carol, 2) == ["bring a rope", "written while the server was off"]
            assert await texts(alice, 1) == ["so was this"]
            if archive.name != "1.tar.xz":  # version 1 kept no history
                kept = [one.kept.line.text for one in await group.history()]
                assert kept[-2:] == ["bring a rope", "see you at six"]
                (found,) = await alice.contact(bob.account).search("only for")
                assert found.kept.expires == 7 * DAY
            await group.remove(alice.contact(carol.account))
            await group.settled(await group.send("two of us"))
            assert await texts(bob, 1) == ["two of us"]
            for name, node in (("alice", alice), ("bob", bob)):
                assert node.core.store.rows()[b"schema"] == SCHEMA, name


def test_every_version_before_today_has_its_archive() -> None:
    wanted = {f"{number}.tar.xz" for number in range(1, int(SCHEMA))}
    assert wanted <= {path.name for path in ARCHIVES}
    assert ARCHIVES, "there is nothing to open"
