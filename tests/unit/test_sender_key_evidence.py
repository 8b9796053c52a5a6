"""Reports and proofs of forks: what they show, to whom, and what they do not."""

from dataclasses import replace

import pytest

from groupcrypt.errors import AuthenticationFailed
from groupcrypt.protocol import sender_key, wire
from groupcrypt.protocol.identifiers import GroupId, LogHash
from groupcrypt.protocol.sender_key import Header, Opened, Report
from groupcrypt.testing.forgery import Forgery
from groupcrypt.testing.vectors import ch08_sender_keys as chapter
from groupcrypt.testing.vectors.sender_keys_scene import NOW, Scene
from tests.unit.sender_key_talk import receiver


def opened(scene: Scene, *texts: bytes) -> tuple[Header, Opened]:
    chain = receiver(scene)
    frame = scene.seal(*texts)
    header = scene.header(frame)
    return header, sender_key.open_frame(chain, scene.context, frame, header, now=NOW)[1]


@pytest.mark.spec("08.9-1")
def test_a_true_report_verifies_and_every_altered_one_fails() -> None:
    scene = Scene("report")
    signing = scene.chain.signing.public
    header, found = opened(scene, b"harmless", b"a threat", b"private")
    for index, text in enumerate(found.contents):
        raw = sender_key.report(header, found, index)
        checked = sender_key.check_report(raw, scene.context, signing)
        assert (checked.content, checked.id) == (text, found.ids[index])
        assert (checked.device, checked.generation) == (scene.device, scene.chain.generation)
        assert checked.iteration == 0
    true = wire.decode(Report, sender_key.report(header, found, 1))
    for false in (
        replace(true, content=b"a treat"),
        replace(true, id=found.ids[0]),
        replace(true, opening=found.openings[0]),
        replace(true, index=2),
        replace(true, header=bytes(50)),
        replace(true, body_hash=bytes(32)),
        replace(true, signature=bytes(64)),
        replace(true, commitments=true.commitments[:64]),
        replace(true, commitments=true.commitments + bytes(32)),
    ):
        with pytest.raises(AuthenticationFailed):
            sender_key.check_report(wire.encode(false), scene.context, signing)
    for context in (
        replace(scene.context, group=GroupId(bytes(32))),
        replace(scene.context, epoch=4),
        replace(scene.context, log_hash=LogHash(bytes(32))),
    ):
        with pytest.raises(AuthenticationFailed):
            sender_key.check_report(wire.encode(true), context, signing)
    with pytest.raises(AuthenticationFailed):
        sender_key.check_report(wire.encode(true), scene.context, scene.signing_key().public)


@pytest.mark.spec("08.9-2")
def test_a_report_shows_nothing_of_the_siblings() -> None:
    scene = Scene("siblings")
    header, found = opened(scene, b"a secret of somebody else", b"a threat")
    raw = sender_key.report(header, found, 1)
    assert b"a threat" in raw
    assert found.contents[0] not in raw
    assert found.openings[0] not in raw
    assert bytes(found.ids[0]) not in raw


@pytest.mark.spec("08.9-3")
def test_a_fork_is_two_messages_at_one_place() -> None:
    scene = Scene("fork")
    signing = scene.chain.signing.public
    one, other = (
        scene.header(scene.forge(Forgery(), text)).proof for text in (b"to some", b"to others")
    )
    assert sender_key.check_fork(one, other, scene.context, signing) == scene.device
    scene.skip(1)
    elsewhere = scene.header(scene.forge(Forgery())).proof
    forged = scene.forge(Forgery(signing=scene.signing_key()))
    for left, right in (
        (one, one),
        (one, elsewhere),
        (one, replace(one, signature=other.signature)),
        (scene.header(forged).proof, elsewhere),
        (elsewhere, scene.header(forged).proof),
    ):
        with pytest.raises(AuthenticationFailed):
            sender_key.check_fork(left, right, scene.context, signing)


def test_bad_vectors_fail_for_the_reason_in_their_name() -> None:
    """One code covers several checks on purpose; the text inside says which one it was."""
    reasons = {
        "no member of this epoch": {
            *(f"a changed bit: {n}" for n in ("membership tag", "commit tag", "head", "body")),
            "sealed for another group's keys",
        },
        "ciphertext does not open": {
            *(
                f"a changed bit under a fitting membership tag: {n}"
                for n in ("commit tag", "head", "extension")
            ),
            "the chain key of the epoch before",
            "sealed under another key",
            "an entry under another control key",
        },
        "signature does not verify": {
            "a changed bit under a fitting membership tag: ciphertext",
            "signed by another member",
            "a zero signature",
            "a forged second message under a used iteration",
            "the old key after its vouch",
            "a vouch with a changed count",
            "a vouch not signed by the old key",
            "a vouch not signed by the new key",
            "a report with its list swapped",
            "a report of another iteration",
            "a report of another signer",
            "a report for another epoch",
            *(f"reported messages of another {name}" for name in ("group", "epoch", "log")),
            "reported messages under another signing key",
            "reported messages under another signer",
        },
        "vouch that does not hold": {
            "a vouch for another fresh count",
            "a vouch of a later epoch",
            "a vouch two fresh-secret epochs later",
        },
        "not what it commits to": {"a commit tag for other contents"},
        "report of another content": {
            "a report of an altered content",
            "a report of the other content's place",
            "a report under another id",
            "a report with another opening key",
            "reported messages of another text",
        },
        "another device's message": {
            "reported messages under another account",
            "reported messages under another device key",
        },
        "do not contradict": {"two proofs of one frame", "two proofs of two iterations"},
    }
    expected = {name: reason for reason, names in reasons.items() for name in names}
    _, bad = chapter.generate()
    vague = {one["name"]: one for one in bad if one["expect"] == AuthenticationFailed.code}
    assert set(vague) == set(expected)
    for name, vector in vague.items():
        with pytest.raises(AuthenticationFailed, match=expected[name]):
            chapter.run(vector["given"])
