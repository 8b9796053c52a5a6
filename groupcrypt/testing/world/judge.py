"""What was wrong in a world: all checkers, as far as their promises hold in it (spec 16.1).

Rules of this file:
- Complaints begin with the name of the property and a colon.
- After the server did what cannot be made good, only what may never be is asked. Nothing is
  promised to who lied, and what has to come is not promised to who went on with an old store.
"""

from collections import Counter

from groupcrypt.protocol import device
from groupcrypt.protocol.events import Rejected
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.testing.checkers import (
    Agreement,
    Coalition,
    Convergence,
    Delivery,
    Detection,
    Directs,
    Durability,
    Exclusion,
    Healing,
    KeyUse,
    Leaks,
    NoLoss,
    OneLog,
    Timers,
    ToTheAuthor,
    Vanishing,
)
from groupcrypt.testing.world.world import World

TALKED = ("convergence", "receipts", "vanishing", "files", "direct messages", "timers")


def asked_of(world: World) -> tuple[str, ...]:
    """The properties that have to hold in a world like this, by name."""
    asked = ("key use", "durability", "silent frame", "leak", "exclusion", "healing", *TALKED)
    if world.broken:
        return (*asked, "detection")
    return (*asked, "one log", "agreement", "delivery", "no loss")


def judge(world: World) -> list[str]:
    """All complaints about a world at rest."""
    found = _named("key use", KeyUse(world.watch.openings()).complaints(world))
    found += _named("durability", Durability().complaints(world))
    found += _named("silent frame", world.frames.complaints())
    found += _named("leak", leaked(world))
    found += talked(world)
    for group in world.groups.values():
        found += always(world, group)
        if world.broken:
            found += _named("detection", Detection(restored(world)).complaints(world, group))
        else:
            found += at_rest(world, group)
    return found


def always(world: World, group: GroupId) -> list[str]:
    """What may never be."""
    tape = world.server.tape
    found = _named("exclusion", Exclusion().complaints(world, group))
    found += _named("exclusion", Coalition(world.watch, tape).complaints(world, group))
    healing = Healing(world.watch, tape, world.thieves)
    return found + _named("healing", healing.complaints(world, group))


def at_rest(world: World, group: GroupId) -> list[str]:
    """What has to have come."""
    without = world.liars | restored(world)
    found = _named("one log", OneLog().complaints(world, group))
    found += _named("agreement", Agreement(without).complaints(world, group))
    found += _named("delivery", Delivery(without, world.chores.forgotten).complaints(world, group))
    return found + _named("no loss", NoLoss(without).complaints(world, group))


def talked(world: World) -> list[str]:
    """What was promised of conversations; a server that lies to groups changes nothing of it."""
    without = world.liars | restored(world)
    accounts = {host.account for host in world.devices.values()}
    timers = {
        name: {
            account: device.direct_timer(host.state, account)
            for account in accounts - {host.account}
        }
        for name, host in world.devices.items()
    }
    again = world.chores.said_again
    found = _named("convergence", Convergence(without, again).complaints(world))
    found += _named("receipts", ToTheAuthor(without).complaints(world))
    found += _named("direct messages", Directs(without, world.chores.forgotten).complaints(world))
    found += _named("timers", Timers(timers, without).complaints(world))
    found += _named("vanishing", vanishing(world).complaints())
    return found + _named("files", unsent_files(world))


def vanishing(world: World) -> Vanishing:
    """What each application holds to be over, and all that its device stores.

    A text that was said twice says nothing: one of the two may be there to stay.
    """
    times = Counter(word for several in world.words.values() for word in several)
    gone = {
        name: [
            word
            for each, kept in host.book.lines.items()
            if kept is None
            for word in world.words.get((each.sender, each.message), ())
            if times[word] == 1
        ]
        for name, host in world.devices.items()
    }
    return Vanishing({name: host.rows.values() for name, host in world.devices.items()}, gone)


def unsent_files(world: World) -> list[str]:
    """At rest each file was sent, or its sender was told why it was not."""
    return [f"{name} is still sending" for name, host in world.devices.items() if host.state.files]


def restored(world: World) -> set[str]:
    """Who went on with an old store: letters to and from it may be lost for a day (spec 07.4)."""
    return {name for name, host in world.devices.items() if host.restored}


def leaked(world: World) -> list[str]:
    """Texts, names and keys in what the server got, in reprs and in what the trace tells."""
    secrets = Leaks()
    hosts = world.devices.values()
    secrets.words("a text", (word for several in world.words.values() for word in several))
    secrets.keys("a key of a file", world.file_keys)
    secrets.words("a name", (host.state.core.name for host in hosts))
    secrets.keys("an account", (host.account for host in hosts))
    for adversary in world.watch.knows.values():
        for several in adversary.keys.values():
            for each in several:
                secrets.keys("an epoch's key", (each.topic, each.init, each.control, each.header))
    wire = [raw for host in hosts for raw in set(host.wire)]
    shown = [repr(event).encode() for host in hosts for event in host.events]
    shown += [repr(host.state).encode() for host in hosts]
    told = [event for host in hosts for event in host.events if isinstance(event, Rejected)]
    shown += [event.reason.encode() for event in told]
    found = secrets.search("requests", wire)
    found += secrets.search("reprs and reasons", shown)
    return found + secrets.search("the trace", [world.trace.text().encode()])


def _named(name: str, complaints: list[str]) -> list[str]:
    return [f"{name}: {each}" for each in complaints]
