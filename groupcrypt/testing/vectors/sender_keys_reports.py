"""Vectors of section 08.11: reports of messages, and what is done to them (spec 08.11).

Rules of this file:
- One report of two members in two epochs; each bad vector spoils one thing of it.
"""

from dataclasses import replace
from typing import Any

from groupcrypt.errors import (
    AuthenticationFailed,
    BadKey,
    GroupcryptError,
    MalformedFrame,
    NotAllowed,
    UnsupportedVersion,
)
from groupcrypt.protocol import limits, reports, sender_key, wire
from groupcrypt.protocol.content import (
    Content,
    HeadsContent,
    TextContent,
    write_content,
    write_said,
)
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId
from groupcrypt.protocol.identity import device_id
from groupcrypt.protocol.primitives import DhPrivate, SigningKey
from groupcrypt.protocol.reports import Evidence, Messages, Signer, Statement
from groupcrypt.protocol.sender_key import Context, FrameKeys, Header, Opened, Report, SendingChain
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.vectors import Vector, vector
from groupcrypt.testing.vectors.sender_keys_scene import NOW, Scene

MS = 1_000


class Talker:
    """A device that speaks in the epoch of a scene."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.entropy = SeededEntropy(11).fork(name)
        account, own = (SigningKey.generate(self.entropy) for _ in range(2))
        dh = DhPrivate.generate(self.entropy)
        self.context: Context = scene.context
        self.keys: FrameKeys = scene.keys
        device = device_id(account.public, own.public, dh.public)
        self.chain: SendingChain = sender_key.new_chain(
            device, 7, self.context, now=NOW, entropy=self.entropy
        )
        body = sender_key.distribution(self.context, self.chain)
        self.theirs = sender_key.accept(body, context=self.context, owner=device, known=None)
        self.account = AccountId(account.public)
        self.signer = Signer(
            self.context.epoch,
            self.context.log_hash,
            account.public,
            own.public,
            dh.public,
            self.chain.signing.public,
        )

    def frame(self, *contents: bytes) -> tuple[Header, Opened]:
        """Seal contents as one frame, and open it as a receiver does."""
        items = [(MessageId(self.entropy(16)), content) for content in contents]
        self.chain, frame = sender_key.seal(
            self.chain, self.context, self.keys, items, now=NOW, entropy=self.entropy
        )
        header = sender_key.open_header(self.keys, self.context, frame)
        self.theirs, opened = sender_key.open_frame(
            self.theirs, self.context, frame, header, now=NOW
        )
        return header, opened

    def say(self, *said: tuple[Content, int]) -> list[Evidence]:
        """What a receiver keeps of contents that were said at some moments, in one frame."""
        header, opened = self.frame(*(write_content(what, time=time) for what, time in said))
        return [
            Evidence(self.signer, sender_key.report(header, opened, index))
            for index in range(len(said))
        ]


def talk() -> tuple[GroupId, list[Evidence]]:
    """Two members, two epochs, and a clock that runs backwards."""
    scene = Scene("reports")
    anna, bert = Talker(scene, "anna"), Talker(scene, "bert")
    said = anna.say((TextContent("give it to me"), 50 * MS), (TextContent("or else"), 40 * MS))
    said += bert.say((TextContent("no"), 45 * MS))
    said += anna.say((TextContent("you will see"), 60 * MS))
    scene.enter(fresh=scene.context.fresh + 1)
    later = Talker(scene, "bert, later")
    said += later.say((TextContent("help"), 10 * MS))
    return scene.context.group, said


def good_reports() -> list[Vector]:
    """Reports that hold."""
    group, said = talk()
    chosen = {
        "five messages of two members in two epochs": said,
        "one of these messages": said[1:2],
    }
    return [_holds(name, group, evidence) for name, evidence in chosen.items()]


def _holds(name: str, group: GroupId, evidence: list[Evidence]) -> Vector:
    raw = reports.compose(group, evidence)
    checked = reports.check(raw)
    then: dict[str, Any] = {
        "group": group,
        "reported": [
            {
                "account": one.sender,
                "device": one.device,
                "epoch": one.epoch,
                "id": one.message,
                "content": write_said(one.said),
            }
            for one in checked.messages
        ],
        "signers": [reports.signer_name(group, one) for one in checked.signers],
    }
    return vector("08.11", name, {"messages": raw}, then)


def bad_reports() -> list[Vector]:
    """Reports of which one thing was changed."""
    group, said = talk()
    raw = reports.compose(group, said)
    return [
        vector("08.11", f"reported messages {name}", {"messages": spoiled}, expect=code)
        for name, code, spoiled in _spoiled(raw)
    ]


def _spoiled(raw: bytes) -> list[tuple[str, type[GroupcryptError], bytes]]:
    true = wire.decode(Messages, raw, limits.MAX_REPORT_BYTES)
    first, second, *rest = true.statements
    signer, *others = true.signers
    no, shape = AuthenticationFailed, MalformedFrame

    def of(**changed: Any) -> bytes:
        return wire.encode(replace(true, **changed))

    def signed(**changed: Any) -> bytes:
        return of(signers=(replace(signer, **changed), *others))

    text = wire.decode(Report, first.report)
    altered = wire.encode(replace(text, content=text.content[:-1] + b"!"))
    scene = Scene("reports of what is never shown")
    hidden = Talker(scene, "somebody")
    unshown = hidden.say((HeadsContent(1, ()), 1))[0]
    return [
        ("of another text", no, of(statements=(replace(first, report=altered), second, *rest))),
        ("of another group", no, of(group=bytes(32))),
        ("of another epoch", no, signed(epoch=signer.epoch - 1)),
        ("of another log", no, signed(log_hash=bytes(32))),
        ("under another account", no, signed(account=others[0].account)),
        ("under another device key", no, signed(device_key=others[0].device_key)),
        ("under another signing key", no, signed(signing=others[0].signing)),
        ("under no signing key", BadKey, signed(signing=b"\1" + bytes(31))),
        ("under another signer", no, of(statements=(replace(first, signer=1), second, *rest))),
        ("in another order of one device", shape, of(statements=(second, first, *rest))),
        (
            "in another order of two devices",
            shape,
            of(statements=(first, rest[0], second, *rest[1:])),
        ),
        ("with a message twice", shape, of(statements=(first, *true.statements))),
        ("with a signer that it does not list", shape, of(signers=true.signers[:-1])),
        ("with a signer that it does not name", shape, of(statements=true.statements[:-1])),
        ("of nothing", shape, of(signers=(), statements=())),
        ("with a byte too many", shape, raw + b"\0"),
        ("of another version", UnsupportedVersion, of(version=2)),
        (
            "of a content that is never shown",
            NotAllowed,
            of(
                group=hidden.context.group,
                signers=(hidden.signer,),
                statements=(Statement(0, unshown.report),),
            ),
        ),
    ]
