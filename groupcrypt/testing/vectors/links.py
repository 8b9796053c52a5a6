"""Vectors of spec 02.8: linking texts, offers, answers.

Rules of this file:
- As in `ch02_identity`, of which this is a part.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from groupcrypt.errors import AuthenticationFailed, InvalidLink, MalformedFrame
from groupcrypt.protocol import identity
from groupcrypt.protocol.identity import AccountRecord, DeviceEntry, LinkText
from groupcrypt.protocol.primitives import DhPrivate, SigningKey, digest, expand
from groupcrypt.protocol.wire import encode
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.person import make_person
from groupcrypt.testing.vectors import Vector, vector

_ENTROPY: Final = SeededEntropy(b"vectors 02.8")
_ALICE: Final = make_person(_ENTROPY.fork("alice"))
_MALLORY: Final = make_person(_ENTROPY.fork("mallory"))
_SIGNING: Final = SigningKey.generate(_ENTROPY.fork("signing"))
_DH: Final = DhPrivate.generate(_ENTROPY.fork("dh"))
_LINK: Final = LinkText(
    _SIGNING.public,
    _DH.public,
    digest("vector slot name"),
    digest("vector slot key"),
    digest("vector secret"),
    "chat.example:7000",
    digest("vector server key"),
)
_PLACE: Final = (digest("account slot name"), digest("account slot key"))
_ENTRY: Final = DeviceEntry(_ALICE.phone.device, *_PLACE)
_RECORD: Final = AccountRecord(_ALICE.listed.raw, (_ENTRY,), "alice")


def generate() -> tuple[list[Vector], list[Vector]]:
    """The vectors of this section: good ones, bad ones."""
    return _good(), _bad()


def _offer(key: SigningKey = _ALICE.key, link: LinkText = _LINK) -> bytes:
    return identity.make_offer(key, link, _RECORD, _PLACE, _ENTROPY.fork("offer"))


def _answer(link: LinkText = _LINK) -> bytes:
    made = identity.countersign(_SIGNING, _DH, _ALICE.account, _signature())
    return identity.make_answer(link, made, _ENTROPY.fork("answer"))


def _signature() -> bytes:
    return identity.read_offer(_LINK, _DH, _offer())[0].signature


def _given(do: str, sealed: bytes, private: bytes) -> dict[str, Any]:
    return {"do": do, "text": str(_LINK), "sealed": sealed, "private": private}


def _good() -> list[Vector]:
    text = str(_LINK)
    text_then = _link({"text": text})
    dh, key = _DH.to_bytes(), _ALICE.key.to_bytes()
    offer, answer = _given("offer", _offer(), dh), _given("answer", _answer(), key)
    return [
        vector("02.8", "a linking text", {"do": "link", "text": text}, text_then),
        vector("02.8", "in lines", {"do": "link", "text": f"{text[:60]}\n {text[60:]}"}, text_then),
        vector("02.8", "an offer", offer, _read_offer(_hex(offer))),
        vector("02.8", "an answer", answer, _read_answer(_hex(answer))),
    ]


def _hex(given: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value.hex() if isinstance(value, bytes) else value for name, value in given.items()
    }


def _bad() -> list[Vector]:
    text, dh, key = str(_LINK), _DH.to_bytes(), _ALICE.key.to_bytes()
    texts = {
        "a contact card's scheme": text.replace("groupcrypt-link", "groupcrypt"),
        "a linking text of another version": text.replace(":1:", ":2:"),
        "a linking text without its end": text[:-8],
        "a linking text with a foreign character": text[:-3] + "*" + text[-2:],
        "an overlong linking text": text + "A" * 2000,
        "a linking text with a signing key of small order": str(
            replace(_LINK, signing=bytes((1, *bytes(31))))
        ),
        "a linking text with a DH key of small order": str(replace(_LINK, dh=bytes(32))),
        "a secret of 31 bytes": str(replace(_LINK, secret=bytes(31))),
        "a linking text without a port": str(replace(_LINK, server="chat.example")),
        "one key twice": str(replace(_LINK, dh=_LINK.signing)),
    }
    out = [
        vector("02.8", name, {"do": "link", "text": each}, expect=InvalidLink)
        for name, each in texts.items()
    ]
    other = replace(_LINK, secret=digest("another secret"))
    swapped = replace(_LINK, signing=_MALLORY.phone.signing.public)
    offers = {
        "an offer under another secret": _offer(link=other),
        "an offer signed by another account": _offer(key=_MALLORY.key),
        "an offer for another device's keys": _offer(link=swapped),
        "an offer with a bit changed": _offer()[:-1] + bytes((_offer()[-1] ^ 1,)),
    }
    answers = {
        "an answer under another secret": _answer(other),
        "an answer signed by another device": _forged(),
    }
    for name, sealed in offers.items():
        out.append(vector("02.8", name, _given("offer", sealed, dh), expect=AuthenticationFailed))
    for name, sealed in answers.items():
        out.append(vector("02.8", name, _given("answer", sealed, key), expect=AuthenticationFailed))
    entropy = _ENTROPY.fork("short")
    short = identity.seal_slot(expand(_LINK.secret, "link answer"), encode(_ENTRY), entropy)
    given = _given("answer", short, key)
    return [*out, vector("02.8", "an answer of another shape", given, expect=MalformedFrame)]


def _forged() -> bytes:
    made = identity.countersign(_MALLORY.phone.signing, _DH, _ALICE.account, _signature())
    return identity.make_answer(_LINK, made, _ENTROPY.fork("forged"))


def _link(given: Mapping[str, str]) -> dict[str, Any]:
    link = LinkText.parse(given["text"])
    assert LinkText.parse(str(link)) == link
    names = ("signing", "dh", "slot_name", "slot_key", "secret", "server", "server_key", "code")
    mailboxes = {"offer": b"".join(link.offer_tokens), "answer": b"".join(link.answer_tokens)}
    return {name: getattr(link, name) for name in names} | mailboxes


def _read_offer(given: Mapping[str, str]) -> dict[str, Any]:
    link, private = LinkText.parse(given["text"]), bytes.fromhex(given["private"])
    sealed = bytes.fromhex(given["sealed"])
    offer, record, listed = identity.read_offer(link, DhPrivate.from_bytes(private), sealed)
    return {
        "account": listed.account,
        "name": record.name,
        "slot_name": offer.slot_name,
        "slot_key": offer.slot_key,
        "signature": offer.signature,
    }


def _read_answer(given: Mapping[str, str]) -> dict[str, Any]:
    link, private = LinkText.parse(given["text"]), bytes.fromhex(given["private"])
    sealed = bytes.fromhex(given["sealed"])
    made = identity.read_answer(SigningKey.from_bytes(private), link, sealed)
    return {"certificate": encode(made), "device": made.device}


DO: Final[Mapping[str, Callable[[Mapping[str, str]], dict[str, Any]]]] = {
    "link": _link,
    "offer": _read_offer,
    "answer": _read_answer,
}
