"""P9, P10: what the server sees, and that nothing ever leaves in the clear (spec 16.1).

Each docstring says how the promise was broken to see the test fail.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields

import pytest

import groupcrypt
from groupcrypt.protocol import broadcast, device, primitives, wire
from groupcrypt.protocol.broadcast import Append, TopicKind
from groupcrypt.protocol.content import (
    Content,
    CustomContent,
    DeleteContent,
    EditContent,
    ForOne,
    ReactionContent,
    ReceiptContent,
    Reference,
    ReplyContent,
    TextContent,
    Unknown,
    write_content,
)
from groupcrypt.protocol.device.post import PayloadItem
from groupcrypt.protocol.events import (
    DirectReceived,
    GroupJoined,
    MessageReceived,
    Receipt,
)
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId
from groupcrypt.protocol.membership import Settings
from groupcrypt.testing import hostile
from groupcrypt.testing.adversary import Adversary, records, uploads
from groupcrypt.testing.hostile import (
    HostileWorld,
    group_of,
    topic_of,
)
from groupcrypt.testing.simulation import Simulation

# --- P9 ---------------------------------------------------------------------------------------

NAMES = ("Anneliese-Schmidt", "Bartholomew-Jones", "Clementine-Dubois", "Desdemona-Rossi")
GROUP_NAME = "the secret climbing club"
FRAME_OVERHEAD = 1 + 32 + 50 + 64 + 16 + 16 + 16  # version, commit tag, head, three tags
ENVELOPE_OVERHEAD = 32 + 16  # enc, tag


def seen_by_the_server(world: Simulation) -> bytes:
    """Every request that was ever sent, and all that is kept."""
    wired = [raw for each in world.devices.values() for raw in each.wire]
    return b"\0".join([*wired, *inside(vars(world.server))])


def inside(value: object) -> Iterator[bytes]:
    """All bytes and texts in a server's memory."""
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, str):
        yield value.encode()
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from inside(key)
            yield from inside(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from inside(item)
    else:
        for name in getattr(type(value), "__slots__", ()):
            yield from inside(getattr(value, name))


def busy_world() -> tuple[Simulation, GroupId, Adversary]:
    world = Simulation(9, " ".join(NAMES))
    everyone = Adversary()
    for each in world.devices.values():
        everyone.watch(each)
    founder = NAMES[0]
    for name in NAMES[1:]:
        world.introduce(founder, name)
    events = world._do(
        founder,
        lambda d: device.create_group(d.state, GROUP_NAME, now=world.now, entropy=d.entropy),
    )
    group = next(event.group for event in events if isinstance(event, GroupJoined))
    world.add(founder, group, *NAMES[1:])
    world.settle()
    for size in (1, 80, 300, 5_000):
        for name in NAMES:
            world.send(name, group, f"plaintext of {name} " + "x" * size)
        world.settle()
    world.remove(founder, group, NAMES[3])
    world.settle()
    world.update(NAMES[1], group)
    world.settle()
    world.send_direct(NAMES[1], founder, "plaintext for one")
    world.settle()
    everyone.think()
    return world, group, everyone


@pytest.fixture(scope="module")
def busy() -> tuple[Simulation, GroupId, Adversary]:
    return busy_world()


def test_p9_the_server_sees_no_name_no_text_no_key_no_id(
    busy: tuple[Simulation, GroupId, Adversary],
) -> None:
    """Every byte on the wire and in the server is searched, for keys and ids also by eights.

    Broken by: slot values, or pool items, that are not sealed; by eight bytes of the group id in
    the upload id; by HPKE, or every AEAD, that seals nothing.
    """
    world, group, _ = busy
    seen = seen_by_the_server(world)
    whole = [bytes(group), *group_of(world, NAMES[0], group).hashes]
    for each in world.devices.values():
        certificate = each.state.core.identity.certificate
        whole += [certificate.account, certificate.signing, certificate.dh]
    whole += [bytes(each.state.device) for each in world.devices.values()]
    secret = [each[at : at + 8] for each in whole for at in range(0, len(each), 8)]
    secret += [GROUP_NAME.encode(), b"plaintext", *(name.encode() for name in NAMES)]
    assert len(seen) > 200_000
    assert [found[:12] for found in secret if found in seen] == []


def test_p9_sizes_are_those_of_padding(busy: tuple[Simulation, GroupId, Adversary]) -> None:
    """No record has a length that its content decided to the byte.

    Broken by: `padded_length` returning the length itself.
    """
    world, _, _ = busy
    lengths: set[int] = set()
    for request in uploads(world):
        overhead = FRAME_OVERHEAD if request.kind == TopicKind.GROUP else ENVELOPE_OVERHEAD
        size = len(request.body) - overhead
        assert size >= 256 and buckets(size) == size
        lengths.add(len(request.body))
    assert len(lengths) < 25


def buckets(size: int) -> int:
    """Padme as the paper writes it: the lowest bits of a length that its exponent lets go."""
    exponent = size.bit_length() - 1
    loose = exponent - exponent.bit_length()
    return (size + (1 << loose) - 1) >> loose << loose


def test_p9_every_epoch_has_a_topic_of_its_own_and_no_sender(
    busy: tuple[Simulation, GroupId, Adversary],
) -> None:
    """A record names its topic, a random id and its body; all members write with one token.

    Broken by: topic tokens that come from the group id.
    """
    world, _, everyone = busy
    found = records(world, everyone)
    epochs = {record.topic: record.place.epoch for record in found}
    assert sorted(epochs.values()) == sorted(set(epochs.values()))
    assert len(epochs) >= 3
    tokens: dict[bytes, set[bytes]] = {}
    for request in uploads(world):
        if request.kind == TopicKind.GROUP:
            tokens.setdefault(request.topic, set()).add(request.write_token)
    assert all(len(several) == 1 for several in tokens.values())
    assert [field.name for field in fields(Append)] == [
        *("write_token", "read_hash", "mid", "body", "ttl", "kind"),
    ]


# --- P10 --------------------------------------------------------------------------------------

MARK = "PLAINTEXT-MARK"
CONTENTS: tuple[Content, ...] = (
    TextContent(MARK),
    ReceiptContent(0, None, (MARK.encode().ljust(16, b"."),)),
    CustomContent(MARK, MARK.encode() * 40),
    ReplyContent(Reference(bytes(32), bytes(16)), MARK, MARK),
    ReactionContent(Reference(bytes(32), bytes(16)), MARK),
    EditContent(bytes(16), MARK),
    DeleteContent(MARK.encode().ljust(16, b".")),
    Unknown(999, MARK.encode()),
)


def post(
    world: Simulation, to: GroupId | AccountId, content: Content, message: MessageId, expires: int
) -> None:
    """Alice sends it, and dies after the commit; what waits in her outbox goes later."""
    alice = world.devices["alice"]
    if to in alice.state.groups:
        step = device.send(
            alice.state,
            GroupId(to),
            message,
            content,
            expires=expires,
            now=world.now,
            entropy=alice.entropy,
        )
    else:
        step = device.send_direct(
            alice.state, AccountId(to), message, content, now=world.now, entropy=alice.entropy
        )
    alice.adopt(step)
    alice.restart()
    world.settle()


def test_p10_no_content_of_any_type_is_ever_on_the_wire() -> None:
    """Sent to a group and to a person, with and without an expiry, waiting and repeated.

    Broken by: frames whose body is not sealed; by every AEAD sealing nothing.
    """
    world = Simulation(10, "alice bob carol")
    group = world.group_with("alice", "bob", "carol")
    account = world.devices["bob"].account
    for number, content in enumerate(CONTENTS):
        for expires in (0, 3600):
            ids = [MessageId(bytes((number, expires & 255, way)) * 5 + b".") for way in range(2)]
            if not isinstance(content, ForOne):
                post(world, group, content, ids[0], expires)
            post(world, account, content, ids[1], 0)
    bob = world.devices["bob"]
    of_group = [content for content in CONTENTS if not isinstance(content, ForOne)]
    assert sum(isinstance(event, MessageReceived) for event in bob.events) == 2 * len(of_group)
    came = [event for event in bob.events if isinstance(event, DirectReceived | Receipt)]
    assert len(came) == 2 * len(CONTENTS)
    seen = seen_by_the_server(world)
    assert MARK.encode() not in seen
    raw = [write_content(content, time=int(world.now * 1000)) for content in CONTENTS]
    assert not any(each[-24:] in seen for each in raw)


def test_p10_nothing_unsealed_is_taken_for_a_message() -> None:
    """A content, a frame or a letter in the clear is refused wherever it is put.

    Broken by: `_receive` taking a body that decodes as a content for a message.
    """
    world = HostileWorld(4, "alice bob")
    group = world.group_with("alice", "bob")
    content = write_content(TextContent(MARK), time=0)
    letter = wire.encode(PayloadItem(16, content))
    for body in (content, letter, primitives.pad(content), b"\1" + primitives.pad(content)):
        assert hostile.refused(world, "bob", topic_of(world, "bob", group), body)
        mailboxes = [s.topic for s in device.subscriptions(world.devices["bob"].state)[:2]]
        for mailbox in mailboxes:
            assert hostile.refused(world, "bob", mailbox, body)
    assert MARK not in str(world.texts("bob", group))


SWITCH = re.compile(
    "encrypt|plain|clear|secur|insecur|cipher|crypto|e2e|seal|opt_?(in|out)|verify|trust|legacy"
    "|downgrade|compat|debug|suite|algorithm"
)


def test_p10_there_is_no_switch() -> None:
    """No parameter, setting or content type of the public interface could turn encryption off.

    Broken by: a parameter `encrypted` of `device.send`; by a setting `plaintext`.
    """
    offered: list[tuple[str, str]] = []
    shown = [(f"device.{name}", item) for name, item in vars(device).items()]
    shown += [(name, getattr(groupcrypt, name)) for name in groupcrypt.__all__]
    for name, item in shown:
        if not inspect.isroutine(item) and not inspect.isclass(item):
            continue
        module = getattr(item, "__module__", "")
        if name.startswith("device._") or not module.startswith("groupcrypt"):
            continue
        methods = [item]
        if inspect.isclass(item):
            methods += [each for key, each in vars(item).items() if inspect.isroutine(each)]
        for each in methods:
            try:
                offered += [(name, parameter) for parameter in inspect.signature(each).parameters]
            except (TypeError, ValueError):
                continue
    offered += [("Settings", field.name) for field in fields(Settings)]
    offered += [("Append", field.name) for field in fields(broadcast.Append)]
    assert len(offered) > 100
    assert [each for each in offered if SWITCH.search(each[1].lower())] == []
