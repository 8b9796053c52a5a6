"""Write the archive of today's version: something of everything that a store holds."""

import tarfile
import tempfile
from pathlib import Path

import trio

from groupcrypt.protocol.device.records import SCHEMA
from tests.versions.scene import START, Town, texts, town


async def live(place: Town) -> None:
    """A group with a past, unread and unsent messages, a verified contact, a member who is away."""
    async with place.serving(), place.node("alice") as alice, place.node("bob") as bob:
        async with place.node("carol") as carol:
            group = await alice.create_group("climbers")
            await group.add(bob.card, carol.card)
            await group.set_policy(timer=86_400)
            await alice.contact(bob.account).verify()
            await group.settled(await group.send("see you at six"))
            for reader in (bob, carol):
                await texts(reader, 1)
        await alice.contact(bob.account).send("only for you", expires_after=604_800)
        await group.settled(await group.send("bring a rope"))
        await group.update()
        await group.wait_live()
        await alice.wait_sent()
        await bob.core.until(
            lambda: (len(bob.state.inbox) == 2 and bob.group(group.id).epoch == group.epoch) or None
        )
    async with place.node("alice") as alice, place.node("bob") as bob:
        await alice.group(group.id).send("written while the server was off")
        await bob.contact(alice.account).send("so was this")


async def lived(folder: Path) -> None:
    """Live in `folder`."""
    async with town(folder, START) as place:
        await live(place)


def write(target: Path) -> None:
    """Live in a folder of its own, and pack it."""
    with tempfile.TemporaryDirectory() as folder:
        trio.run(lived, Path(folder))
        with tarfile.open(target, "x:xz") as archive:
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file() and not path.name.endswith("lock"):
                    archive.add(path, path.relative_to(folder))


if __name__ == "__main__":
    made = Path(__file__).parent / f"{SCHEMA.decode()}.tar.xz"
    write(made)
    print(f"{made.name}: {made.stat().st_size} bytes")
