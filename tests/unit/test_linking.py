"""Several devices for one account: linked, written to, revoked (spec 02.8, 12.9)."""

from groupcrypt.protocol import device
from groupcrypt.protocol.content import TextContent
from groupcrypt.protocol.device import people
from groupcrypt.protocol.device.account import own_list
from groupcrypt.protocol.events import DirectReceived, DirectSent
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.testing.simulation import Simulation
from tests.unit.device_scene import kinds


def linked_world(seed: int = 60) -> tuple[Simulation, GroupId]:
    """Alice, with a laptop that was linked after the group with bob was made."""
    world = Simulation(seed, "alice bob carol")
    group = world.group_with("alice", "bob", "carol")
    world.introduce("bob", "alice")
    world.send("bob", group, "before")
    world.settle()
    world.link("alice", "laptop")
    world.settle()
    return world, group


def directs(world: Simulation, name: str) -> list[tuple[str, str]]:
    """Kind and text of the direct messages that a device was shown."""
    return [
        (type(event).__name__, event.said.content.text)
        for event in world.devices[name].events
        if isinstance(event, DirectReceived | DirectSent)
        and isinstance(event.said.content, TextContent)
    ]


def test_a_linked_device_is_listed_and_reads_from_then_on() -> None:
    """Covers: [12.9-1] [12.9-4]."""
    world, group = linked_world()
    alice, laptop = world.devices["alice"], world.devices["laptop"]
    assert "DeviceLinked" in kinds(alice.events)
    assert "DeviceLinked" in kinds(laptop.events)
    assert own_list(alice.state).hash == own_list(laptop.state).hash
    assert laptop.state.core.account_key is None
    assert laptop.state.account == alice.account
    assert device.card(laptop.state) == device.card(alice.state)
    assert group in laptop.state.groups
    assert world.texts("laptop", group) == []
    for name in ("alice", "bob", "laptop"):
        world.send(name, group, f"from {name}")
        world.settle()
    said = ["from alice", "from bob", "from laptop"]
    assert world.texts("laptop", group) == said[:2]
    assert world.texts("alice", group)[-2:] == said[1:]
    assert world.texts("bob", group)[-2:] == ["from alice", "from laptop"]
    laptop.restart()


def test_direct_messages_go_to_all_devices_of_both_accounts() -> None:
    """Covers: [12.9-5] [12.3-5]."""
    world, _ = linked_world()
    assert world.devices["bob"].account in world.devices["laptop"].state.people
    world.send_direct("laptop", "bob", "from the laptop")
    world.settle()
    world.send_direct("alice", "bob", "from the phone")
    world.settle()
    world.send_direct("bob", "alice", "answer")
    world.settle()
    assert directs(world, "alice") == [
        ("DirectSent", "from the laptop"),
        ("DirectReceived", "answer"),
    ]
    assert directs(world, "laptop") == [
        ("DirectSent", "from the phone"),
        ("DirectReceived", "answer"),
    ]
    assert directs(world, "bob") == [
        ("DirectReceived", "from the laptop"),
        ("DirectReceived", "from the phone"),
    ]


def test_a_revoked_device_is_out_everywhere() -> None:
    """Covers: [12.9-6]."""
    world, group = linked_world()
    gone = world.devices["laptop"].state.device
    world.revoke("alice", "laptop")
    world.settle()
    assert "Departed" in kinds(world.devices["laptop"].events)
    assert gone not in world.devices["bob"].state.groups[group].roster.devices
    assert gone not in world.devices["alice"].state.peers
    assert gone not in people.devices_of(world.devices["bob"].state, world.devices["alice"].account)
    world.send("bob", group, "after")
    world.settle()
    assert world.texts("alice", group)[-1] == "after"
    assert "after" not in world.texts("laptop", group)
