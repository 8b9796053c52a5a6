"""P6, P7: who said it, where, and that it means one thing (spec 16.1).

Each docstring says how the promise was broken to see the test fail.
"""

from dataclasses import replace

import pytest

from groupcrypt.errors import AuthenticationFailed, RemoteError
from groupcrypt.protocol import primitives, sender_key
from groupcrypt.protocol.content import TextContent, write_content
from groupcrypt.protocol.events import Event, MessageReceived
from groupcrypt.protocol.group.state import Epoch, frame_keys
from groupcrypt.protocol.identifiers import DeviceId, GroupId, LogHash
from groupcrypt.protocol.primitives import SigningKey
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.protocol.sender_key.frame import FrameProof
from groupcrypt.protocol.sender_key.message import commitment
from groupcrypt.testing.forgery import Forgery, forged_frame
from groupcrypt.testing.hostile import (
    HostileWorld,
    Since,
    as_sender,
    fed,
    group_of,
    refused,
    topic_of,
)
from groupcrypt.testing.simulation import Simulation


def say(world: Simulation, group: GroupId, text: str) -> None:
    for name, each in world.devices.items():
        if group in each.state.groups and each.state.groups[group].member:
            world.send(name, group, f"{text} {name}")
    world.settle()


# --- P6 ---------------------------------------------------------------------------------------


def captured() -> tuple[HostileWorld, GroupId, bytes]:
    """A group of three, and a frame of bob's that alice has not read yet."""
    world = HostileWorld(8, "alice bob carol")
    group = world.group_with("alice", "bob", "carol")
    say(world, group, "hello")
    world.devices["alice"].online = False
    since = Since(world)
    world.send("bob", group, "the true one")
    world.push("bob")
    ((_, request),) = since.appends()
    return world, group, request.body


def relabelled(epoch: Epoch, group: GroupId, frame: bytes, header: bytes) -> bytes:
    """The frame under another head, as any member can make it: all but the signature fits."""
    keys = frame_keys(epoch)
    was = sender_key.open_header(keys, epoch.context(group), frame)
    proof = FrameProof(header, was.proof.commit_tag, was.proof.body_hash, was.proof.signature)
    return frames.assemble(keys, proof, frame[frames._BODY_AT : -primitives.TAG_BYTES])


def arrives(world: HostileWorld, group: GroupId) -> None:
    """Alice comes back, and gets the true message once."""
    world.devices["alice"].online = True
    world.settle()
    assert world.texts("alice", group).count("the true one") == 1


@pytest.mark.parametrize("field", ["device", "generation", "iteration", "guard"])
def test_p6_a_frame_under_another_head_is_refused(field: str) -> None:
    """A member changes who sent it, or its place in the chain.

    Broken by: `position_of` leaving the header out.
    """
    world, group, frame = captured()
    held = group_of(world, "alice", group)
    raw = sender_key.open_header(
        frame_keys(held.base), held.base.context(group), frame
    ).proof.header
    kind, flags, who, generation, iteration, guard, name = frames._HEADER.unpack(raw)
    carol = world.devices["carol"].state.device
    other = next(chain for (dev, _), chain in held.base.chains.items() if dev == carol)
    changed = {
        "device": (carol, other.generation, other.iteration, guard, other.core.distribution),
        "generation": (who, generation + 1, iteration, guard, name),
        "iteration": (who, generation, iteration + 1, guard, name),
        "guard": (who, generation, iteration, bytes(16), name),
    }[field]
    forged = relabelled(held.base, group, frame, frames._HEADER.pack(kind, flags, *changed))
    events = fed_copy(world, "alice", group, forged)
    assert not any(isinstance(event, MessageReceived) for event in events)
    if field != "generation":  # a chain that may still come is held and asked for
        assert refused(world, "alice", topic_of(world, "alice", group), forged) == [
            "authentication-failed"
        ]
    arrives(world, group)


def fed_copy(world: HostileWorld, name: str, group: GroupId, body: bytes) -> list[Event]:
    """What a device would tell of a record; it is as it was afterwards."""
    actor = world.devices[name]
    state, rows, events = actor.state, dict(actor.rows), list(actor.events)
    told = list(fed(world, name, topic_of(world, name, group), body))
    actor.state, actor.rows, actor.events = state, rows, events
    return told


def test_p6_a_frame_of_another_epoch_or_group_is_refused() -> None:
    """Moved, with tags and head made anew for the place it is put.

    Broken by: signature, AEAD and commit tag all unchecked at once (each alone refuses it).
    """
    world, group, frame = captured()
    alice = world.devices["alice"]
    alice.online = True
    other = world.group_with("alice", "bob", "carol")
    say(world, other, "hello")
    before = group_of(world, "alice", group).base
    header = sender_key.open_header(frame_keys(before), before.context(group), frame).proof
    for move in ("group", "epoch"):
        if move == "epoch":
            world.update("carol", group)
            world.settle()
            say(world, group, "under a signing key of this epoch")
        place, held = (
            (other, group_of(world, "alice", other))
            if move == "group"
            else (
                group,
                group_of(world, "alice", group),
            )
        )
        bob = world.devices["bob"].state.device
        chain = next(chain for (dev, _), chain in held.base.chains.items() if dev == bob)
        kind, flags, _, _, _, guard, _ = frames._HEADER.unpack(header.header)
        raw = frames._HEADER.pack(
            kind, flags, bob, chain.generation, chain.iteration, guard, chain.core.distribution
        )
        proof = replace(header, header=raw)
        body = frame[frames._BODY_AT : -primitives.TAG_BYTES]
        moved = frames.assemble(frame_keys(held.base), proof, body)
        topic = topic_of(world, "alice", place)
        assert refused(world, "alice", topic, frame) == ["authentication-failed"]
        assert refused(world, "alice", topic, moved) == ["authentication-failed"]
    assert world.texts("alice", group).count("the true one") == 1
    assert "the true one" not in world.texts("alice", other)


def test_p6_a_signature_holds_in_one_place_of_one_log_only() -> None:
    """Even without keys of chains: the proof of a frame says where it was made.

    Broken by: `position_of` leaving out group, epoch or log hash.
    """
    world, group, frame = captured()
    base = group_of(world, "alice", group).base
    context = base.context(group)
    proof = sender_key.open_header(frame_keys(base), context, frame).proof
    bob = world.devices["bob"].state.device
    signing = next(chain.core.signing for (dev, _), chain in base.chains.items() if dev == bob)
    sender_key.check_proof(proof, context, signing)
    for wrong in (
        replace(context, group=GroupId(bytes(32))),
        replace(context, epoch=context.epoch + 1),
        replace(context, log_hash=LogHash(bytes(32))),
    ):
        with pytest.raises(AuthenticationFailed):
            sender_key.check_proof(proof, wrong, signing)


@pytest.mark.parametrize("signature", ["own", "zeros", "stolen"])
def test_p6_a_fellow_member_cannot_speak_as_another(signature: str) -> None:
    """Carol has bob's chain key, and all shared keys: she lacks his signing key alone.

    Broken by: `_check_signature` not verifying.
    """
    world, group, frame = captured()
    carol = group_of(world, "carol", group)
    assert carol.base.own is not None
    posing = as_sender(carol, DeviceId(world.devices["bob"].state.device), carol.base.own)
    stolen = sender_key.open_header(frame_keys(carol.base), carol.base.context(group), frame)
    forgery = {
        "own": Forgery(signing=carol.base.own.signing),
        "zeros": Forgery(signature=bytes(64)),
        "stolen": Forgery(signature=stolen.proof.signature),
    }[signature]
    content = write_content(TextContent("I am bob"), time=0)
    forged = forged_frame(
        posing,
        carol.base.context(group),
        frame_keys(carol.base),
        [(bytes(32), bytes(16), content)],
        forgery=forgery,
    )
    topic = topic_of(world, "alice", group)
    assert refused(world, "alice", topic, forged) == ["authentication-failed"]
    arrives(world, group)


# --- P7 ---------------------------------------------------------------------------------------


def test_p7_a_ciphertext_has_one_meaning() -> None:
    """The sender itself commits to one content and seals another, or seals twice in one place.

    Broken by: `open_frame` not comparing the commit tag; by its not telling a used iteration (the
    AEAD alone refuses it then, under another code).
    """
    world, group, _ = captured()
    bob = group_of(world, "bob", group)
    own = bob.base.own
    assert own is not None
    one, two = ((bytes(32), bytes(16), write_content(TextContent(text), time=0)) for text in "ab")
    place = (own, bob.base.context(group), frame_keys(bob.base))
    topic = topic_of(world, "alice", group)
    lie = forged_frame(*place, [one], forgery=Forgery(commitments=[commitment(*two)]))
    assert refused(world, "alice", topic, lie) == ["authentication-failed"]
    arrives(world, group)
    again = forged_frame(*place, [two], guard=b"another guard..!")
    for name in ("alice", "carol"):
        fed(world, name, topic, forged_frame(*place, [one]))
        assert world.texts(name, group)[-1] == "a"
        assert refused(world, name, topic, again) == ["chain-fork"]


def test_p7_a_report_shows_one_content_and_cannot_be_altered() -> None:
    """Every member checks it with the key it knows; each changed byte and each lie fails.

    Broken by: `check_report` not comparing the commitment; by not checking the signature.
    """
    world, group, _ = captured()
    alice, carol = world.devices["alice"], world.devices["carol"]
    since = Since(world)
    for text in ("in flight", "waits behind it", "what is reported"):
        world.send("bob", group, text)
    world.push("bob")
    bundle = since.appends()[1][1].body
    held = group_of(world, "carol", group)
    context = held.base.context(group)
    bob = DeviceId(world.devices["bob"].state.device)
    carol.online = True
    world._read(carol)
    held = group_of(world, "carol", group)
    chain = next(chain for (dev, _), chain in held.base.chains.items() if dev == bob)
    header = sender_key.open_header(frame_keys(held.base), context, bundle)
    _, content = sender_key.open_frame(chain, context, bundle, header, now=world.now)
    report = sender_key.report(header, content, 1)
    known = next(c for (d, _), c in group_of(world, "alice", group).base.chains.items() if d == bob)
    told = sender_key.check_report(report, context, known.core.signing)
    assert (told.device, told.content) == (bob, content.contents[1])
    assert b"what is reported" in report and b"waits behind it" not in report
    for at in range(len(report)):
        altered = report[:at] + bytes((report[at] ^ 1,)) + report[at + 1 :]
        with pytest.raises(RemoteError):
            sender_key.check_report(altered, context, known.core.signing)
    lie = replace(content, contents=(content.contents[1], content.contents[0]))
    swapped = replace(content, openings=content.openings[::-1])
    stranger = SigningKey.generate(alice.entropy).public
    for wrong, key, where in (
        (sender_key.report(header, lie, 1), known.core.signing, context),
        (sender_key.report(header, swapped, 1), known.core.signing, context),
        (report, stranger, context),
        (report, known.core.signing, replace(context, epoch=context.epoch + 1)),
        (report, known.core.signing, replace(context, group=GroupId(bytes(32)))),
    ):
        with pytest.raises(AuthenticationFailed):
            sender_key.check_report(wrong, where, key)
