"""Part C of the scenarios where it takes a whole device: chains, membership, what is shown (16.1).

The table of all ids is in `test_scenarios_c.py`. Hostile input comes between good messages.
"""

from dataclasses import replace

import pytest

from groupcrypt.protocol import device, limits, sender_key
from groupcrypt.protocol.broadcast import TopicKind
from groupcrypt.protocol.content import TextContent, write_content
from groupcrypt.protocol.events import Rejected
from groupcrypt.protocol.group.state import frame_keys
from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.protocol.sender_key import SendingChain
from groupcrypt.protocol.sender_key import chain as chains
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.testing import checkers
from groupcrypt.testing.forgery import Forgery, forged_frame
from groupcrypt.testing.hostile import (
    HostileWorld,
    Since,
    fed,
    group_of,
    refused,
    talking,
    topic_of,
)
from groupcrypt.testing.simulation import Simulation

HONEST = Forgery()


def own_chain(world: Simulation, name: str, group: GroupId) -> SendingChain:
    own = group_of(world, name, group).base.own
    assert own is not None
    return own


def ahead(chain: SendingChain, count: int) -> SendingChain:
    """The chain as it will be after so many frames."""
    for _ in range(count):
        key, _used = chains.step(chain.chain_key)
        chain = replace(chain, chain_key=key, iteration=chain.iteration + 1)
    return chain


def frame_of(  # noqa: PLR0917  # whose, where, what, and how it lies
    world: Simulation,
    name: str,
    group: GroupId,
    text: str,
    chain: SendingChain | None = None,
    forgery: Forgery = HONEST,
) -> bytes:
    """A frame by a member's own hand, outside of its device."""
    held = group_of(world, name, group)
    content = write_content(TextContent(text), time=0)
    return forged_frame(
        chain or own_chain(world, name, group),
        held.base.context(group),
        frame_keys(held.base),
        [(bytes(32), world.devices[name].entropy(16), content)],
        forgery=forgery,
    )


def good_after(world: HostileWorld, group: GroupId) -> None:
    """An honest message still comes."""
    world.send("carol", group, "the good one after")
    world.settle()
    assert world.texts("alice", group)[-1] == "the good one after"


@pytest.mark.parametrize("start", [0, 5])
def test_cg10_a_jump_at_the_limit_opens_and_one_beyond_steps_nothing(
    start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, group = talking(90, "alice", "bob", "carol")
    for number in range(start):
        world.send("bob", group, f"{number}")
        world.settle()
    topic, own = topic_of(world, "alice", group), own_chain(world, "bob", group)
    beyond = frame_of(world, "bob", group, "beyond", ahead(own, limits.MAX_FORWARD_JUMP + 1))
    last = frame_of(world, "bob", group, "last", replace(own, iteration=limits.MAX_ITERATION))
    with monkeypatch.context() as patch:
        patch.setattr("groupcrypt.protocol.sender_key.skipped.advance", None)  # nothing is derived
        assert refused(world, "alice", topic, beyond) == ["too-far-ahead"]
        assert refused(world, "alice", topic, last) == ["too-far-ahead"]
    at_limit = frame_of(world, "bob", group, "at the limit", ahead(own, limits.MAX_FORWARD_JUMP))
    fed(world, "alice", topic, at_limit)
    assert world.texts("alice", group)[-1] == "at the limit"


def test_cg11_a_thousand_replays_are_duplicates_and_cost_no_room() -> None:
    world, group = talking(91, "alice", "bob", "carol")
    since = Since(world)
    for text in ("one", "two"):
        world.send("bob", group, text)
        world.settle()
    replayed = [each.body for _, each in since.appends() if each.kind == TopicKind.GROUP]
    rows = dict(world.devices["alice"].rows)
    for number in range(1_000):
        topic = topic_of(world, "alice", group)  # after 512 the next segment's (10.4)
        codes = [
            getattr(event, "code", "") for event in fed(world, "alice", topic, replayed[number % 2])
        ]
        assert codes == ["duplicate"]
    now = world.devices["alice"].rows
    assert {key: len(value) for key, value in now.items() if not key.endswith(b"core")} == {
        key: len(value) for key, value in rows.items() if not key.endswith(b"core")
    }
    assert world.texts("alice", group)[-2:] == ["one", "two"]


def test_cg13_a_signing_key_over_its_limits_is_renewed_before_it_seals() -> None:
    """After 100 frames, and after 25 hours; whoever clings to the old one is refused."""
    world, group = talking(92, "alice", "bob", "carol")
    keys = {own_chain(world, "bob", group).signing.public}
    for number in range(limits.SIGNING_KEY_MESSAGES + 5):
        world.send("bob", group, f"{number}")
        world.push("bob")
    world.settle()
    keys.add(own_chain(world, "bob", group).signing.public)
    stale = own_chain(world, "bob", group)
    world.now += 25 * 3_600
    world.send("bob", group, "a day later")
    world.settle()
    keys.add(own_chain(world, "bob", group).signing.public)
    assert len(keys) == 3
    assert world.texts("alice", group)[-1] == "a day later"
    now = own_chain(world, "bob", group)
    clinging = frame_of(world, "bob", group, "old key", now, Forgery(signing=stale.signing))
    topic = topic_of(world, "alice", group)
    assert refused(world, "alice", topic, clinging) == ["authentication-failed"]
    good_after(world, group)


@pytest.mark.parametrize("fault", ["not zero", "longer", "length too great", "nothing inside"])
def test_cg18_a_wrong_padding_after_a_valid_tag_is_malformed(fault: str) -> None:
    """The sender itself pads wrongly: refused, and nothing of the chain has moved."""
    world, group = talking(93, "alice", "bob", "carol")
    own = own_chain(world, "bob", group)
    content = write_content(TextContent("x"), time=0)
    item = bytes(32) + bytes(16) + len(content).to_bytes(4, "big") + content
    right = frames.pad_beside(item, 0)
    padded = {
        "not zero": right[:-1] + b"\1",
        "longer": right + bytes(len(right)),
        "length too great": (len(right)).to_bytes(4, "big") + right[4:],
        "nothing inside": bytes(len(right)),
    }[fault]
    commitments: list[bytes] | None = [] if fault == "nothing inside" else None
    frame = frame_of(world, "bob", group, "x", own, Forgery(padded=padded, commitments=commitments))
    topic = topic_of(world, "alice", group)
    assert refused(world, "alice", topic, frame) == ["malformed"]
    good_after(world, group)
    world.send("bob", group, "the same iteration, honestly")
    world.settle()
    assert world.texts("alice", group)[-1] == "the same iteration, honestly"


def test_cm07_nothing_is_sealed_between_a_removal_and_the_new_chain() -> None:
    """Bob applies it, sends, dies and comes back before it is confirmed: no old chain is used."""
    world, group = talking(94, "alice", "bob", "carol", "dave")
    old = own_chain(world, "bob", group)
    before = group_of(world, "bob", group).base
    since = Since(world)
    world.remove("alice", group, "dave")
    world.push("alice")
    bob = world.devices["bob"]
    while world._read(bob):
        pass
    assert group_of(world, "bob", group).core.head > before.number
    world.send("bob", group, "in between")
    bob.restart()
    world.settle()
    assert world.texts("carol", group)[-1] == "in between"
    assert "in between" not in world.texts("dave", group)
    for _, request in since.appends():
        if request.kind != TopicKind.GROUP:
            continue
        try:
            header = sender_key.open_header(frame_keys(before), before.context(group), request.body)
        except Exception:  # noqa: BLE001, S112  # of another epoch
            continue
        assert header.kind != frames.MESSAGE, "a message under the keys of the old epoch"
    assert own_chain(world, "bob", group).chain_key != old.chain_key
    assert checkers.everything(world, group) == []


def test_cm09_who_comes_back_has_chains_of_another_name() -> None:
    """Removed and added again: frames of the first stay open nothing, and are refused."""
    world, group = talking(95, "alice", "bob", "carol")
    first = own_chain(world, "carol", group)
    late = frame_of(world, "carol", group, "from the first stay")
    world.remove("alice", group, "carol")
    world.settle()
    world.now += 5
    world.add("alice", group, "carol")
    world.settle()
    for name in ("alice", "bob", "carol"):
        world.send(name, group, f"again, {name}")
    world.settle()
    now = own_chain(world, "carol", group)
    assert (now.generation, now.distribution) != (first.generation, first.distribution)
    topic = topic_of(world, "alice", group)
    assert refused(world, "alice", topic, late) == ["authentication-failed"]
    posing = replace(now, generation=first.generation, distribution=first.distribution)
    again = frame_of(world, "carol", group, "from the first stay", posing)
    assert refused(world, "alice", topic, again) == ["no-sender-key"]
    assert "again, carol" in world.texts("bob", group)
    assert "from the first stay" not in world.texts("bob", group)
    assert checkers.everything(world, group) == []


def test_cn05_nothing_secret_is_shown_by_what_a_device_tells() -> None:
    """Reprs of states, steps and events, and the description for a bug report, searched."""
    canary = "CANARY-4711"
    world = HostileWorld(96, f"alice bob-{canary}")
    bob = f"bob-{canary}"
    group = world.group_with("alice", bob)
    for name in ("alice", bob):
        world.send(name, group, canary)
        world.settle()
    alice = world.devices["alice"]
    world.hostile.inject(topic_of(world, "alice", group), canary.encode() * 20, now=world.now)
    world.settle()
    held, core = group_of(world, "alice", group), alice.state.core
    keys = held.base.keys
    assert keys is not None and held.base.own is not None
    shown = repr(
        [
            alice.state,
            core,
            alice.events,
            *alice.events,
            held,
            held.base,
            keys,
            *held.base.chains.values(),
            *alice.state.peers.values(),
            device.describe(alice.state),
            *device.pending(alice.state),
            *device.subscriptions(alice.state),
        ]
    )
    secret = (
        core.identity.dh.to_bytes(),
        core.first.read_token,
        keys.header,
        keys.secret,
        held.base.own.chain_key,
        bytes(group),
        canary.encode(),
    )
    for each in secret:
        assert each.hex() not in shown and repr(each)[2:-1] not in shown
    told = [event.reason for event in alice.events if isinstance(event, Rejected)]
    assert told and not any(canary in reason for reason in told)
