"""P5, P8: forward secrecy, healing, post-quantum starts and ratchets (spec 16.1).

Each docstring says how the promise was broken to see the test fail.
"""

from collections.abc import Callable

import pytest

from groupcrypt.errors import AuthenticationFailed
from groupcrypt.protocol import device, handshake, primitives, ratchet
from groupcrypt.protocol.broadcast import Page, Read
from groupcrypt.protocol.device.state import TopicRecord
from groupcrypt.protocol.events import DirectReceived, MessageReceived
from groupcrypt.protocol.handshake import agreement
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.membership import Op
from groupcrypt.protocol.pairwise import unwrap
from groupcrypt.protocol.pairwise.envelope import associated
from groupcrypt.protocol.ratchet import messages as ratchet_messages
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.testing.adversary import Adversary, Record, records
from groupcrypt.testing.device import Device
from groupcrypt.testing.hostile import (
    group_of,
)
from groupcrypt.testing.pair import make_ends, make_pair
from groupcrypt.testing.simulation import Simulation

# --- P5 ---------------------------------------------------------------------------------------


class Thief:
    """Runs a copy of a device on its stolen rows: it reads everything and writes nothing."""

    def __init__(self, world: Simulation, victim: Device) -> None:
        self.world = world
        rows = dict(victim.rows)
        self.copy = Device("thief", victim.entropy.fork("thief"), device.load(rows), rows)
        self.knows = Adversary()
        self.knows.watch(self.copy)

    def listen(self) -> None:
        """Follow every topic the copy knows of, as far as it goes."""
        while any(self._read(wanted) for wanted in device.subscriptions(self.copy.state)):
            pass
        self.knows.think()

    def _read(self, wanted: device.Subscription) -> bool:
        request = Read(wanted.read_token, wanted.write_hash, wanted.after, 1, wanted.kind)
        page = self.world.server.answer(request, now=int(self.world.now))
        if not isinstance(page, Page) or not page.entries:
            return False
        entry = page.entries[0]
        record = TopicRecord(wanted.topic, entry.seq, entry.prev, entry.mid, entry.body)
        now, entropy = self.world.now, self.copy.entropy
        self.copy.adopt(device.receive(self.copy.state, record, now=now, entropy=entropy))
        return True


def spoken(names: str, seed: int = 6) -> tuple[Simulation, GroupId, Adversary]:
    """A group in which everybody has said something, and one who watches all of them."""
    world = Simulation(seed, names)
    everyone = Adversary()
    for each in world.devices.values():
        everyone.watch(each)
    group = world.group_with(*names.split())
    say(world, group, "first")
    return world, group, everyone


def say(world: Simulation, group: GroupId, text: str) -> None:
    for name, each in world.devices.items():
        if group in each.state.groups and each.state.groups[group].member:
            world.send(name, group, f"{text} {name}")
    world.settle()


def test_p5_what_was_consumed_cannot_be_opened_with_the_rows_of_later() -> None:
    """All rows of a member open nothing that it had received and its application taken.

    Broken by: `step` returning the same chain key; by `advance` keeping the key it uses.
    """
    world, group, everyone = spoken("alice bob carol")
    say(world, group, "second")
    alice = world.devices["alice"]
    for row in device.unread(alice.state):
        alice.adopt(device.taken(alice.state, row.number, now=world.now, entropy=alice.entropy))
    thief = Adversary()
    thief.take(alice.rows)
    thief.think()
    everyone.think()
    consumed = records(world, everyone)
    seen = [thief.attack(record) for record in consumed]
    headers = [
        sight.header for sight in seen if sight.header and sight.header.kind == frames.MESSAGE
    ]
    assert len(headers) == 6, "it still holds the epoch's shared keys"
    assert [sight for sight in seen if sight.header in headers and sight.contents] == []
    stored = b"\0".join(alice.rows.values())
    assert not any(f"{text} bob".encode() in stored for text in ("first", "second"))
    say(world, group, "third")
    later = [record for record in records(world, everyone) if record not in consumed]
    assert sum(bool(thief.attack(record).contents) for record in later) == 3, "and opens the rest"


def test_p5_an_update_shuts_out_who_stole_everything_and_listens() -> None:
    """The thief follows the group until the victim's own update, and nothing from it on.

    Broken by: UPDATE taken out of `FRESH_OPS`; by `_send_secrets` not renewing the sessions (the
    secrets of later epochs come on sessions the thief holds).
    """
    world, group, everyone = spoken("alice bob carol dave eve")
    bob = world.devices["bob"]
    for one in world.devices.values():  # a receipt would be an answer, and heal the session
        for account in one.state.people:
            one.adopt(
                device.set_receipts(
                    one.state, account, on=False, now=world.now, entropy=one.entropy
                )
            )
    world.send_direct("bob", "alice", "nobody answers this: bob's ratchet key stays")
    world.settle()
    thief = Thief(world, bob)
    say(world, group, "stolen")
    thief.listen()
    stolen = records(world, everyone)
    data = device.role_data(world.devices["carol"].account, admin=True)
    alice = world.devices["alice"]
    alice.adopt(
        device.change(alice.state, group, Op.ROLE, data, now=world.now, entropy=alice.entropy)
    )
    world.settle()
    thief.listen()
    say(world, group, "stolen too")
    thief.listen()
    world.send_direct("carol", "bob", "read by the thief")
    world.settle()
    thief.listen()
    assert any(isinstance(event, DirectReceived) for event in thief.copy.events)
    assert opened(thief.knows, stolen) and opened(thief.knows, records(world, everyone)) > 8
    world.update("bob", group)
    world.settle()
    healed = group_of(world, "alice", group).core.head
    thief.listen()
    heard = len(thief.copy.events)
    acts: tuple[Callable[[], object], ...] = (
        lambda: world.remove("alice", group, "dave"),
        lambda: world.update("carol", group),
        lambda: world.remove("alice", group, "eve"),
    )
    for act in acts:
        say(world, group, "healed")
        act()
        world.settle()
        thief.listen()
        say(world, group, "healed")
    world.send_direct("alice", "bob", "not for the thief")
    world.settle()
    thief.listen()
    everyone.think()
    thief.knows.read_log(group_of(world, "alice", group))
    thief.knows.think()
    after = [record for record in records(world, everyone) if record.place.epoch >= healed]
    assert len(after) > 20
    for record in after:
        sight = thief.knows.attack(record)
        assert not sight.topic and sight.header is None and not sight.contents
    events = thief.copy.events[heard:]
    assert not any(isinstance(event, MessageReceived | DirectReceived) for event in events)


def opened(adversary: Adversary, found: list[Record]) -> int:
    return sum(bool(adversary.attack(record).contents) for record in found)


# --- P8 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("one_time", [0, 4])
def test_p8_all_dh_secrets_do_not_open_a_first_message(one_time: int) -> None:
    """Who breaks X25519 reads the envelope, and not what is in it: the KEM secret is in the root.

    Broken by: `_agree` leaving the KEM secret out of what it extracts from.
    """
    a, b = make_ends(11, one_time=one_time)
    a.start(b)
    envelope = a.seal(b"the first words")
    inner = unwrap(b.me, envelope)  # HPKE is classical
    hello = inner.hello
    assert hello is not None
    signed = b.prekeys.current
    single = None if hello.one_time_id is None else b.prekeys.one_time[hello.one_time_id]
    assert (single is None) == (one_time == 0)
    keys = (signed.dh.public, signed.kem.public, b"", b"")
    if single is not None:
        keys = (signed.dh.public, signed.kem.public, single.dh.public, single.kem.public)
    kem = signed.kem if single is None else single.kem

    def attempt(secret: bytes) -> bytes:
        secrets = (
            signed.dh.exchange(hello.certificate.dh),
            b.me.dh.exchange(hello.base),
            signed.dh.exchange(hello.base),
            b"" if single is None else single.dh.exchange(hello.base),
            secret,
            b"",
        )
        agreed = agreement._agree(secrets, inner.raw_hello, b.me.certificate, keys)
        state = ratchet.responder(agreed.root, signed.dh, a.now)
        ad = associated(a.me.device, b.me.device, agreed.channel)
        return ratchet.open_message(state, inner.header, inner.ciphertext, ad, now=a.now)[1]

    for guess in (b"", bytes(32), hello.kem_ciphertext[:32], kem.public[:32]):
        with pytest.raises(AuthenticationFailed):
            attempt(guess)
    assert attempt(kem.decapsulate(hello.kem_ciphertext)) == b"the first words"


def test_p8_there_is_no_start_without_a_kem_secret() -> None:
    """Every start of a whole world carries a KEM ciphertext, and another one opens nothing.

    Broken by: `initiate` encapsulating to a key of its own.
    """
    a, b = make_ends(12)
    a.start(b)
    inner = unwrap(b.me, a.seal(b"x"))
    assert inner.hello is not None
    assert len(inner.hello.kem_ciphertext) == primitives.KEM_CIPHERTEXT_BYTES
    kem = b.prekeys.one_time[inner.hello.one_time_id or 0].kem
    assert kem.decapsulate(inner.hello.kem_ciphertext) != bytes(32)
    b.receive(a.seal(b"y"))
    assert handshake.read_hello(inner.raw_hello) == inner.hello


def test_p8_all_dh_secrets_do_not_follow_the_ratchet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds a root and every later DH secret is out at the next exchange of KEM keys.

    Broken by: `_step` leaving the KEM secret out.
    """
    a, b = make_pair(13)
    steps: list[tuple[bytes, bytes, bool, int, bytes]] = []
    true_step = ratchet_messages._step

    def watched(root: bytes, dh: bytes, secret: bytes | None, step: int) -> tuple[bytes, ...]:
        out = true_step(root, dh, secret, step)
        steps.append((root, dh, secret is not None, step, out[0]))
        return out

    root = a.held().channel.ratchet.root
    assert root in (b.held().channel.ratchet.root, a.held().channel.ratchet.root)
    monkeypatch.setattr(ratchet_messages, "_step", watched)
    for number in range(60):
        b.receive(a.seal(b"there %d" % number))
        a.receive(b.seal(b"and back"))
    monkeypatch.undo()
    known = steps[0][0]
    followed: list[bool] = []
    mixed: list[bool] = []
    for number in sorted({step for _, _, _, step, _ in steps}):
        dh, secret, out = next((s[1], s[2], s[4]) for s in steps if s[3] == number)
        known = true_step(known, dh, None, number)[0]
        followed.append(known == out)
        mixed.append(secret)
    first = mixed.index(True)
    assert first <= 60 and followed[:first] == [True] * first and first > 3
    assert not any(followed[first:])
