"""A second device of an account, over a server in memory and over TLS (spec 12.9, 12.10)."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from examples.chat import devices, mistakes
from groupcrypt.cli.drive import Driver
from groupcrypt.cli.telling import Fields
from groupcrypt.errors import InvalidLink, NotPermitted
from groupcrypt.node import Node, open_linking, open_node, run_node, start_linking
from groupcrypt.protocol.events import DeviceLinked, DeviceRevoked
from groupcrypt.protocol.identifiers import short
from groupcrypt.protocol.identity import LinkText
from groupcrypt.testing.party import party
from groupcrypt.testing.party.clients import ADDRESS
from groupcrypt.testing.schedule import date
from tests.shell.scene import group_of, texts
from tests.shell.test_node_tls import served


async def told(_: Fields) -> None:
    """Nobody reads what a driver tells here."""


async def until(node: Node, wanted: DeviceLinked | DeviceRevoked) -> None:
    async with node.events() as events:
        async for event in events:
            if event == wanted:
                return


async def test_a_device_is_linked_reads_and_is_revoked(tmp_path: Path) -> None:
    async with served() as at:
        place = {"server": str(at), "server_key": at.server_key.hex()}
        async with (
            open_node(tmp_path / "alice", **place) as alice,
            open_node(tmp_path / "bob", **place) as bob,
        ):
            ours, theirs = await group_of(alice, bob)
            async with open_linking(tmp_path / "laptop", **place) as new:
                text, code = new.text, new.code
            with pytest.raises(NotPermitted, match="waits to be linked"):
                async with open_node(tmp_path / "laptop"):
                    pass
            async with open_linking(tmp_path / "laptop") as new:
                assert (new.text, new.code) == (text, code)
                assert LinkText.parse(text).code == code
                driver = Driver(alice, told)
                assert await driver.link({"text": text}) == {"code": code, "linking": False}
                with pytest.raises(InvalidLink, match="digits"):
                    await driver.link({"text": text, "code": code[::-1]})
                assert alice.state.core.linking is None
                await driver.link({"text": text, "code": code})
                assert await new.linked() == "alice"
            with pytest.raises(NotPermitted, match="an account already"):
                async with open_linking(tmp_path / "laptop"):
                    pass
            async with open_node(tmp_path / "laptop") as laptop:
                await laptop.core.until(lambda: len(laptop.devices) == 2 or None)
                await laptop.core.until(lambda: bool(laptop.groups) or None)
                assert laptop.account == alice.account
                assert laptop.card == alice.card
                assert laptop.devices == alice.devices
                await theirs.wait_live()
                await theirs.send("to both")
                assert await texts(laptop, 1) == ["to both"]
                assert await texts(alice, 1) == ["to both"]
                await laptop.contact(bob.account).send("alone")
                sent = await anext(alice.messages())
                assert (sent.text, sent.to) == ("alone", alice.contact(bob.account))
                assert sent.sender.account == alice.account
                async with trio.open_nursery() as nursery:
                    gone = laptop.state.device
                    nursery.start_soon(until, alice, DeviceRevoked(gone))
                    await trio.testing.wait_all_tasks_blocked()
                    chat = SimpleNamespace(node=alice)
                    with pytest.raises(mistakes.Mistake):
                        await devices.revoke(cast("devices.Shell", chat), "none")
                    await devices.revoke(cast("devices.Shell", chat), short(gone))
                await laptop.core.until(lambda: not laptop.groups[0].member or None)
                assert len(alice.devices) == 1
                assert ours.member


async def test_linking_waits_for_the_network(autojump_clock: MockClock) -> None:
    async with party("alice") as p:
        seat = p.seat("laptop")
        new = await start_linking(
            seat.disk,
            server=ADDRESS,
            connecting=seat.connecting,
            entropy=seat.entropy,
            clock=date,
        )
        p.cut("laptop")
        names: list[str] = []

        async def wait() -> None:
            names.append(await new.linked())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await p["alice"].node.link(new.text)
            await trio.sleep(30)
            assert not names
            p.heal("laptop")
        assert names == ["alice"]
        async with run_node(
            seat.disk, connecting=seat.connecting, entropy=seat.entropy, clock=date
        ) as node:
            await node.core.until(lambda: len(node.devices) == 2 or None)
