"""Vectors of pairwise sessions: scripts of one device, from its keys to its envelopes (spec 07).

`given` has the device's private keys and its steps (`pairwise_script`); `then.results` has what
each gives and `then.session` where it ends. In a bad vector the last step is refused.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Final

from groupcrypt.errors import (
    AuthenticationFailed,
    Duplicate,
    Expired,
    MalformedFrame,
    NotAllowed,
    RemoteError,
    SessionBroken,
    UnknownResumption,
    UnsupportedVersion,
)
from groupcrypt.protocol import pairwise, primitives
from groupcrypt.protocol.pairwise import Established
from groupcrypt.protocol.primitives import ZERO32, DhPrivate
from groupcrypt.protocol.wire import U8, Blob, Bytes8, Bytes16, decode, encode, shape
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.pair import End, make_ends
from groupcrypt.testing.vectors import Vector, expecting
from groupcrypt.testing.vectors.pairwise_script import Player, Script, summary

INFO: Final = primitives.framed("pairwise envelope")


def generate() -> tuple[list[Vector], list[Vector]]:
    """Good and bad vectors."""
    good = [_answering(), _starting(), *_crossings(), _replacing(), _unproven()]
    good += [_accepted(), _put_back(), *_forgotten()]
    return good, [*_bad_envelopes(), *_bad_messages(), *_bad_starts(), *_bad_repeats()]


# --- good -------------------------------------------------------------------------------------


def _answering() -> Vector:
    script = Script(1)
    script.far.start(script.near)
    script.receive(script.far.seal(b"one"))
    script.receive(script.far.seal(b"two"))
    script.far.receive(script.seal(b"three"))
    script.receive(script.far.seal(b""))
    return script.good("07.3", "a start is answered, with a one-time prekey")


def _starting() -> Vector:
    script = Script(2)
    script.start()
    script.far.receive(script.seal(b"one"))
    script.far.receive(script.seal(b"two"))
    script.receive(script.far.seal(b"three"))
    script.far.receive(script.seal(b"x" * 300))
    return script.good("07.2", "a start, and its first answer")


def _crossings() -> list[Vector]:
    """One in which our start stays, and one in which the other does."""
    found: dict[bool, Vector] = {}
    for seed in range(3, 20):
        script = Script(seed)
        script.start()
        script.far.start(script.near)
        ours, theirs = script.seal(b"ours"), script.far.seal(b"theirs")
        ours_wins = script.near.held().channel.base > script.far.held().channel.base
        script.receive(theirs)
        script.far.receive(ours)
        script.far.receive(script.seal(b"on the one that stays"))
        script.receive(script.far.seal(b"as well"))
        which = "ours" if ours_wins else "theirs"
        name = f"two starts cross and {which} stays"
        found.setdefault(ours_wins, script.good("07.4", name))
    return [found[True], found[False]]


def _replacing() -> Vector:
    script = _established(20)
    late = script.far.seal(b"late, on the old channel")
    script.decide("wedge")
    script.near.now += 3600
    script.start()
    script.far.receive(script.seal(b"resumed"))
    script.receive(script.far.seal(b"answer"))
    script.receive(late)
    return script.good("07.6", "a wedged session is replaced and resumed")


def _unproven() -> Vector:
    script = _established(21)
    script.far.session = pairwise.disown(script.far.held(), script.far.now)
    script.far.now += 60
    script.far.start(script.near)
    script.receive(script.far.seal(b"I lost what I knew"))
    script.far.receive(script.seal(b"who are you?"))
    return script.good("07.7", "a start that resumes nothing gives an unproven channel")


def _accepted() -> Vector:
    """The far end lost all; its start only receives until a person accepts."""
    script = _established(25)
    script.far.session = None
    script.far.now += 60
    script.far.start(script.near)
    script.receive(script.far.seal(b"I lost everything"))
    script.decide("accept")
    script.far.receive(script.seal(b"welcome back"))
    return script.good("07.7", "a start that names no channel only receives, until it is accepted")


def _put_back() -> Vector:
    """The near end is an older copy; the far end cannot open its start, and answers."""
    script = _established(22)
    script.decide("forget")
    link = script.far.held().link
    script.far.session = replace(script.far.held(), link=replace(link, shown=None, sent=()))
    script.near.now += 60
    script.start()
    assert _refused(script.far, script.seal(b"what was I?")) == "unknown-resumption"
    script.far.start(script.near)
    script.receive(script.far.seal(b"who are you?"))
    script.far.receive(script.seal(b"an older copy"))
    return script.good("07.6", "a device that was put back to an older copy says so")


def _forgotten() -> list[Vector]:
    """The far end is an older copy: one that names no secret, one that names an unknown one."""
    script = _established(23)
    _forget(script.far, named=None)
    script.far.start(script.near)
    script.receive(script.far.seal(b"what was I?"))
    script.far.receive(script.seal(b"who are you?"))
    name = "a start that forgot channels and resumes nothing takes the place of a proven channel"
    plain = script.good("07.6", name)
    script = _answered()
    script.far.receive(script.seal(b"who are you?"))
    script.receive(script.far.seal(b"an older copy"))
    name = "a start that forgot channels and resumes what is not held is answered"
    return [plain, script.good("07.6", name)]


def _forget(end: End, named: bytes | None) -> None:
    """An older copy that names this secret, and does not know the current channel."""
    held = pairwise.forget(end.held(), end.now)
    channel, link = replace(held.channel, id=b"an older"), replace(held.link, named=named)
    end.session = replace(held, channel=channel, link=link)


def _answered() -> Script:
    script = _established(24)
    script.far.start(script.near)
    script.receive(script.far.seal(b"four"))
    script.far.receive(script.seal(b"five"))
    _forget(script.far, named=bytes(32))
    script.far.now += 60
    script.far.start(script.near)
    script.refuse(script.far.seal(b"what was I?"))
    script.start()
    return script


def _refused(end: End, envelope: bytes) -> str:
    try:
        end.receive(envelope)
    except RemoteError as error:
        return error.code
    raise AssertionError("it opened")


def _established(seed: int) -> Script:
    """A message each way, and one more, so that each has shown to hold a secret of the other's."""
    script = Script(seed)
    script.far.start(script.near)
    script.receive(script.far.seal(b"one"))
    script.far.receive(script.seal(b"two"))
    script.receive(script.far.seal(b"three"))
    return script


# --- bad --------------------------------------------------------------------------------------


@shape
class _Body:
    """The body as the spec writes it, made by hand (spec 07.2)."""

    version: U8
    sender: Bytes16
    hello: Annotated[bytes, Blob(1, 2_048)] | None
    channel: Bytes8
    header: Annotated[bytes, Blob(1, 2_560)]
    ciphertext: Annotated[bytes, Blob(16, 80_000)]


def _opened(recipient: End, envelope: bytes) -> tuple[bytes, _Body]:
    padded = primitives.hpke_open(recipient.me.dh, INFO, b"", envelope)
    inner = primitives.unpad(padded)
    return inner[:32], decode(_Body, inner[32:])


def _wrapped(recipient: End, padded: bytes) -> bytes:
    return primitives.hpke_seal(recipient.me.dh.public, INFO, b"", padded, SeededEntropy(padded))


def _tagged(sender: End, recipient: End, body: _Body) -> bytes:
    """An envelope with this body and the tag it should have."""
    raw, shared = encode(body), sender.me.dh.exchange(recipient.me.dh.public)
    both = sorted((sender.me.dh.public, recipient.me.dh.public))
    pair = primitives.expand(primitives.extract(ZERO32, shared), "pair", *both)
    tag = primitives.mac(pair, "pairwise mac", sender.me.device, recipient.me.device, raw)
    return _wrapped(recipient, primitives.pad(tag + raw))


def _bad_envelopes() -> list[Vector]:
    script = _established(30)
    near, far = script.near, script.far
    envelope = far.seal(b"four")
    tag, body = _opened(near, envelope)
    padded = primitives.pad(tag + encode(body))
    wrong = bytes((tag[0] ^ 1,)) + tag[1:]
    flipped = envelope[:-1] + bytes((envelope[-1] ^ 1,))
    stranger = make_ends(31)[0]
    cases: list[tuple[str, bytes, type[Exception]]] = [
        ("an envelope too short for HPKE", envelope[:47], MalformedFrame),
        ("a flipped bit of the envelope", flipped, AuthenticationFailed),
        ("a padding that is not zero", _wrapped(near, padded[:-1] + b"\1"), MalformedFrame),
        ("a padding that is too long", _wrapped(near, padded + bytes(32)), MalformedFrame),
        (
            "a body cut short",
            _wrapped(near, primitives.pad(tag + encode(body)[:-1])),
            MalformedFrame,
        ),
        ("another version", _tagged(far, near, replace(body, version=2)), UnsupportedVersion),
        (
            "the own device as sender",
            _tagged(far, near, replace(body, sender=near.me.device)),
            NotAllowed,
        ),
        ("a wrong tag", _wrapped(near, primitives.pad(wrong + encode(body))), AuthenticationFailed),
        ("a tag of another device", _tagged(stranger, near, body), AuthenticationFailed),
    ]
    return [script.bad("07.3", name, made, code) for name, made, code in cases]


def _bad_messages() -> list[Vector]:
    script = _established(32)
    near, far = script.near, script.far
    out: list[Vector] = []
    _, body = _opened(near, far.seal(b"four"))
    flipped = bytes((body.ciphertext[0] ^ 1,)) + body.ciphertext[1:]
    for name, changed in (
        ("a ciphertext that the channel cannot open", replace(body, ciphertext=flipped)),
        ("a channel that is not known", replace(body, channel=bytes(8))),
    ):
        out.append(script.bad("07.3", name, _tagged(far, near, changed), SessionBroken))
    envelope = far.seal(b"five")
    script.receive(envelope)
    out.append(script.bad("07.3", "an envelope that was opened before", envelope, Duplicate))
    late = far.seal(b"late")
    near.now += 60
    script.start()
    unknown = _tagged(far, near, replace(body, channel=bytes(8)))
    name = "a channel that is not known while a start is under way"
    out.append(script.bad("07.3", name, unknown, Expired))
    near.now += 7 * 24 * 3600
    out.append(script.bad("07.5", "a channel whose time is over", late, Expired))
    empty = Script(33)
    first = _established(33)
    message = first.far.seal(b"no start")
    out.append(
        empty.bad("07.3", "a message that is no start, without a session", message, SessionBroken)
    )
    return out


def _bad_starts() -> list[Vector]:
    out: list[Vector] = []

    def case(
        name: str, change: Callable[[_Body, End], dict[str, Any]], code: type[Exception]
    ) -> None:
        script = Script(34)
        script.far.start(script.near)
        _, body = _opened(script.near, script.far.seal(b"one"))
        made = replace(body, **change(body, script.far))
        out.append(script.bad("07.3", name, _tagged(script.far, script.near, made), code))

    def other_base(body: _Body, far: End) -> dict[str, Any]:
        hello = body.hello or b""
        base = far.held().channel.base
        fresh = DhPrivate.generate(far.entropy).public
        return {"hello": hello.replace(base, fresh)}

    def other_signature(body: _Body, far: End) -> dict[str, Any]:
        return {
            "hello": (body.hello or b"").replace(far.me.certificate.account_signature, bytes(64))
        }

    case(
        "a start with another channel's name",
        lambda _b, _f: {"channel": bytes(8)},
        AuthenticationFailed,
    )
    case("a start with another base key", other_base, AuthenticationFailed)
    case("a start whose certificate is not signed", other_signature, AuthenticationFailed)
    case(
        "a start that names another sender",
        lambda _b, _f: {"sender": bytes(16)},
        AuthenticationFailed,
    )
    script = Script(35)
    script.far.start(script.near)
    first = script.far.seal(b"one")
    script.receive(first)
    out.append(script.bad("07.4", "a first message that was opened before", first, Duplicate))
    script = _established(36)
    link = script.far.held().link
    script.far.session = replace(script.far.held(), link=replace(link, named=bytes(32)))
    script.far.now += 60
    script.far.start(script.near)
    name = "a start that resumes what is not held"
    out.append(script.bad("07.6", name, script.far.seal(b"x"), UnknownResumption))
    return out


def _bad_repeats() -> list[Vector]:
    """Starts within the hour that resume what is not held: who does not know, and who forgot."""
    unaware, forgot = _established(37), _established(37)
    link = unaware.far.held().link
    held = replace(unaware.far.held().channel, id=b"an older")
    unaware.far.session = Established(replace(link, named=bytes(32)), held)
    _forget(forgot.far, named=bytes(32))
    out: list[Vector] = []
    for script, name, code in (
        (unaware, "a start made before its sender knew the current channel", Expired),
        (forgot, "the same, of a sender that says it forgot channels", UnknownResumption),
    ):
        script.far.now += 60
        script.far.start(script.near)
        out.append(script.bad("07.6", name, script.far.seal(b"x"), code))
    script = _answered()
    again = script.far.seal(b"what was I?")
    name = "a start that was answered by one of ours, repeated"
    out.append(script.bad("07.6", name, again, Expired))
    script.far.receive(script.seal(b"who are you?"))
    script.receive(script.far.seal(b"an older copy"))
    name = "a start that was answered, repeated after the answer to ours"
    out.append(script.bad("07.6", name, again, Expired))
    return out


# --- checking ---------------------------------------------------------------------------------


def check(vector: Vector) -> None:
    """Run one vector against this library; raises `AssertionError`."""
    given, then = vector["given"], vector["then"]
    player = Player(given)
    steps: list[dict[str, Any]] = given["steps"]
    last = len(steps) if vector["expect"] == "success" else len(steps) - 1
    results = [player.play(step) for step in steps[:last]]
    before = player.state()
    with expecting(vector):
        for step in steps[last:]:
            player.play(step)
    assert player.state() == before
    if then:
        assert results == then["results"]
        assert summary(player.session) == then["session"]
