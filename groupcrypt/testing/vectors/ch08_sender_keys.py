"""Vectors of chapter 08: chains, vouches, distributions, frames, heads, evidence (spec 08).

Rules of this file:
- `check` looks at the kind of input a vector gives and runs what the spec says for it.
- A receiver's state is never an input: it is built from distributions, salts and frames.
"""

from collections.abc import Callable
from typing import Any, Final

from groupcrypt.protocol import limits, reports, sender_key, wire
from groupcrypt.protocol.content import write_said
from groupcrypt.protocol.identifiers import DeviceId, MessageId
from groupcrypt.protocol.sender_key import (
    FrameProof,
    SendingChain,
)
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.protocol.sender_key import message as messages
from groupcrypt.protocol.sender_key.chain import closed, next_head, step
from groupcrypt.testing.vectors import Vector, expecting
from groupcrypt.testing.vectors.sender_keys_bad_frames import bad_frames
from groupcrypt.testing.vectors.sender_keys_bad_records import bad_records
from groupcrypt.testing.vectors.sender_keys_good import good
from groupcrypt.testing.vectors.sender_keys_reports import bad_reports, good_reports
from groupcrypt.testing.vectors.sender_keys_scene import NOW, accepted, read_place, replay

Given = dict[str, Any]


class Tape:
    """Randomness that a vector gives: the bytes in the order in which they are drawn."""

    def __init__(self, recorded: str) -> None:
        self._left = bytes.fromhex(recorded)

    def __call__(self, size: int, /) -> bytes:
        drawn, self._left = self._left[:size], self._left[size:]
        assert len(drawn) == size, "the vector gives too few random bytes"
        return drawn

    def encapsulate(self, public: bytes, /) -> tuple[bytes, bytes]:
        raise NotImplementedError


def generate() -> tuple[list[Vector], list[Vector]]:
    """Both files of the chapter."""
    return good() + good_reports(), bad_frames() + bad_records() + bad_reports()


def check(vector: Vector) -> None:
    """Run one vector; raises `AssertionError` if the library does otherwise."""
    given: Given = vector["given"]
    then: dict[str, Any] = {}
    with expecting(vector):
        then = run(given)
    if vector["expect"] == "success":
        wanted = vector["then"]
        assert {name: then[name] for name in wanted} == wanted


def run(given: Given) -> dict[str, Any]:
    """What the library makes of a vector's inputs, or the error that it raises."""
    for field, kind in _KINDS.items():
        if field in given:
            return kind(given)
    raise AssertionError("a vector without anything to run")


def _steps(given: Given) -> dict[str, Any]:
    chain_key = bytes.fromhex(given["chain_key"])
    out: dict[str, Any] = {"chain_keys": [], "message_keys": []}
    for _ in range(given["steps"]):
        chain_key, message_key = step(chain_key)
        out["chain_keys"].append(chain_key.hex())
        out["message_keys"].append(message_key.hex())
    return out


def _new_chain(given: Given) -> SendingChain:
    context, _ = read_place(given)
    fresh = given["new_chain"]
    return sender_key.new_chain(
        DeviceId(bytes.fromhex(fresh["device"])),
        fresh["generation"],
        context,
        now=NOW,
        entropy=Tape(fresh["random"]),
    )


def _distribute(given: Given) -> dict[str, Any]:
    context, _ = read_place(given)
    chain = _new_chain(given)
    raw = sender_key.distribution(context, chain)
    return {"name": chain.distribution.hex(), "distribution": raw.hex()}


def _seal(given: Given) -> dict[str, Any]:
    context, keys = read_place(given)
    chain = _new_chain(given)
    contents = [
        (MessageId(bytes.fromhex(one["id"])), bytes.fromhex(one["content"]))
        for one in given["contents"]
    ]
    _, message_key = step(chain.chain_key)
    _, frame = sender_key.seal(
        chain, context, keys, contents, now=NOW, entropy=Tape(given["seal_random"])
    )
    header = sender_key.open_header(keys, context, frame)
    openings = bytes.fromhex(given["seal_random"])[16:]
    return {
        "frame": frame.hex(),
        "header": header.proof.header.hex(),
        "position": header.position.hex(),
        "message_key": message_key.hex(),
        "body_key": messages.body_key(message_key, header.position).hex(),
        "commitments": [
            messages.commitment(openings[32 * at : 32 * at + 32], *one).hex()
            for at, one in enumerate(contents)
        ],
        "commit_tag": header.proof.commit_tag.hex(),
        "body_hash": header.proof.body_hash.hex(),
        "hash": header.hash.hex(),
        "signature": header.proof.signature.hex(),
    }


def _vouch(given: Given) -> dict[str, Any]:
    old, _ = read_place(given["before"])
    chain = _new_chain(given["before"])
    context, _ = read_place(given)
    salt = bytes.fromhex(given["salt"])
    receiving = accepted(sender_key.distribution(old, chain), old)
    chain = sender_key.carry_sending(chain, salt, context)
    made = sender_key.refresh_signing(
        chain, context, now=NOW, entropy=Tape(given["refresh_random"])
    )
    assert made.vouch is not None
    receiving = sender_key.carry_receiving(receiving, salt, context)
    followed = sender_key.accept_vouch(receiving, context, made.vouch)
    assert followed.core.signing == made.signing.public
    return {"vouch": made.vouch.hex(), "signing": followed.core.signing.hex()}


def _accept(given: Given) -> dict[str, Any]:
    context, _ = read_place(given)
    owner = DeviceId(bytes.fromhex(given["owner"]))
    known = None
    if given["held"] is not None:
        held = bytes.fromhex(given["held"])
        known = sender_key.accept(held, context=context, owner=owner, known=None)
    raw = bytes.fromhex(given["arrived"])
    core = sender_key.accept(raw, context=context, owner=owner, known=known).core
    return {"iteration": core.iteration, "chain_key": core.chain_key.hex(), "number": core.number}


def _control(given: Given) -> dict[str, Any]:
    context, keys = read_place(given)
    frame = bytes.fromhex(given["control_frame"])
    header = sender_key.open_header(keys, context, frame)
    plain = sender_key.open_control(header, bytes.fromhex(given["control_key"]), frame)
    again = sender_key.seal_control(
        header.kind,
        plain,
        bytes.fromhex(given["control_key"]),
        keys,
        entropy=Tape(header.proof.commit_tag.hex()),
    )
    return {"kind": header.kind, "plaintext": plain.hex(), "frame": again.hex()}


def _report(given: Given) -> dict[str, Any]:
    context, _ = read_place(given)
    raw, signing = bytes.fromhex(given["report"]), bytes.fromhex(given["signing"])
    found = sender_key.check_report(raw, context, signing)
    return {
        "device": found.device.hex(),
        "generation": found.generation,
        "iteration": found.iteration,
        "id": found.id.hex(),
        "content": found.content.hex(),
    }


def _messages(given: Given) -> dict[str, Any]:
    checked = reports.check(bytes.fromhex(given["messages"]))
    return {
        "group": checked.group.hex(),
        "reported": [
            {
                "account": one.sender.hex(),
                "device": one.device.hex(),
                "epoch": one.epoch,
                "id": one.message.hex(),
                "content": write_said(one.said).hex(),
            }
            for one in checked.messages
        ],
        "signers": [reports.signer_name(checked.group, one).hex() for one in checked.signers],
    }


def _fork(given: Given) -> dict[str, Any]:
    context, _ = read_place(given)
    one, other = [
        wire.decode(FrameProof, bytes.fromhex(raw), limit=limits.MAX_RECORD_BYTES)
        for raw in given["proofs"]
    ]
    signing = bytes.fromhex(given["signing"])
    return {"device": sender_key.check_fork(one, other, context, signing).hex()}


def _heads(given: Given) -> dict[str, Any]:
    head = bytes(32)
    for hashed in given["hashes"]:
        head = next_head(head, bytes.fromhex(hashed))
    previous = bytes.fromhex(given["previous_head"])
    count, closing = closed(given["previous_count"], previous, len(given["hashes"]), head)
    return {"head": head.hex(), "closing_count": count, "closing_head": closing.hex()}


def _frame_parts(given: Given) -> dict[str, Any]:
    _, keys = read_place(given)
    body = bytes.fromhex(given["body"])
    proof = FrameProof(
        bytes.fromhex(given["header"]),
        bytes.fromhex(given["commit_tag"]),
        frames.hash_body(body),
        bytes.fromhex(given["signature"]),
    )
    return {"frame": frames.assemble(keys, proof, body).hex()}


# The first of these fields that a vector gives says what it is about.
_KINDS: Final[dict[str, Callable[[Given], dict[str, Any]]]] = {
    "steps": _steps,
    "seal_random": _seal,
    "refresh_random": _vouch,
    "new_chain": _distribute,
    "epochs": replay,
    "arrived": _accept,
    "control_frame": _control,
    "report": _report,
    "messages": _messages,
    "proofs": _fork,
    "hashes": _heads,
    "body": _frame_parts,
}
