"""A server and three people in one process: make a group, add, talk, remove."""

import tempfile

import trio

from groupcrypt import Departed, Message, Node, open_node, serve


async def listen(node: Node) -> None:
    """Show what a member reads, until it is one no more."""
    async for item in node.stream():  # asking for the next acknowledges the last
        if isinstance(item, Message):
            print(f"{node.name} reads <{item.sender.name}> {item.text}")
        if isinstance(item, Departed):
            print(f"{node.name} is out, and reads nothing from now on")
            break


async def main(home: str) -> None:
    """Three homes, one group."""
    async with trio.open_nursery() as nursery:
        at = await nursery.start(serve, "127.0.0.1", 0, None)  # no folder: kept in memory
        names = ("alice", "bob", "carol")
        a, b, c = [open_node(f"{home}/{n}", str(at), server_key=at.server_key) for n in names]
        async with a as alice, b as bob, c as carol, trio.open_nursery() as listeners:
            listeners.start_soon(listen, bob)
            listeners.start_soon(listen, carol)
            group = await alice.create_group("climbers")
            await group.add(bob.card, carol.card)
            await group.send("see you at six")
            await group.remove(alice.contact(carol.account))
            await group.send("carol does not read this")
            await group.remove(alice.contact(bob.account))
        nursery.cancel_scope.cancel()


with tempfile.TemporaryDirectory() as folder:
    trio.run(main, folder)
