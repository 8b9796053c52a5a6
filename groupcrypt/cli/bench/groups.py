"""Rows of `groupcrypt bench` about a group of n devices, through the device layer (spec 10, 12).

Rules of this file:
- Every figure is whole steps of the pure device: state in, state, rows to store and events out.
  Nothing is stored or sent.
- Author and members are as `worlds` says: real devices with real sessions; what differs from a
  running group is said in a row's note.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from groupcrypt.cli.bench import changes, floors, messages, pairs
from groupcrypt.cli.bench.changes import Joined, Removed
from groupcrypt.cli.bench.floors import Needs
from groupcrypt.cli.bench.rounds import Body, Case, Row, Size, Target
from groupcrypt.cli.bench.worlds import ENTROPY, NOW, World, warm, world
from groupcrypt.protocol import device, identity
from groupcrypt.protocol.content import TextContent
from groupcrypt.protocol.device.groups import Groups
from groupcrypt.protocol.device.state import DeviceState, Step
from groupcrypt.protocol.group import Turn, epochs
from groupcrypt.protocol.identifiers import MessageId

SECTION = "groups"
TEXT = TextContent("x" * 90)  # 100 bytes with what a content has around it
CARRY = (100, 150, 180)  # one chain into the next epoch: extraction and two blocks
SPLIT = (32, *(130,) * 9)  # an epoch's keys
REMOVAL_BYTES = 200_000
BATCH = 100  # devices times operations in one batch
SLOW = 100  # devices from which on a batch takes long


def rows(sizes: tuple[int, ...]) -> list[Row]:
    """Message, distribution, epoch, removal and join at each size; smallest first."""
    made: list[Row] = [*_message(world(sizes[0]))]
    for size in sizes:
        made += _distribution(world(size))
    for size in sizes:
        made += _epoch(world(size))
    for size in sizes:
        made += _removal(world(size))
    for size in sizes:
        made += _join(world(size))
    return made


def _case(  # a row of this section
    made: World,
    name: str,
    body: Body,
    *parts: tuple[int, Needs],
    before: Callable[[], object] | None = None,
    note: str = "",
) -> Case:
    """A row of this section; with `before`, which is not timed, a batch is one operation."""
    times = 1 if before else max(1, BATCH // made.size)

    def make() -> Body:
        if before:
            before()
        return batch

    def batch() -> None:
        for _ in range(times):
            body()

    return Case(
        SECTION,
        f"{name}, n = {made.size:,}",
        "ms",
        times,
        make,
        floors.bare(*parts * times) if parts else None,
        floors.total(*parts),
        slow=made.size >= SLOW,
        note=note,
    )


# --- messages ----------------------------------------------------------------------------------


def sent(made: World, state: DeviceState) -> Step:
    """A step that sends a text of 100 bytes to the group."""
    return device.send(state, made.group, MessageId(ENTROPY(16)), TEXT, now=NOW, entropy=ENTROPY)


def _message(made: World) -> list[Row]:
    settled = sent(made, made.author)
    frame = changes.record_of(changes.uploads(settled, made.author)[0], 1)
    return [
        _case(
            made,
            "device sends a text of 100 bytes",
            lambda: sent(made, made.author),
            (1, messages.seal_needs(1, 120)),
            note="with the rows to be stored",
        ),
        _case(
            made,
            "device receives a text of 100 bytes",
            lambda: changes.given(made.member, frame),
            (1, messages.open_needs(1, 120)),
            note="with the rows to be stored",
        ),
    ]


# --- distribution --------------------------------------------------------------------------------


def without_chain(made: World, state: DeviceState) -> DeviceState:
    """As after joining: no sender key of one's own yet."""
    held = made.held(state)
    bare = replace(held.head, own=None, given=frozenset())
    fresh = replace(held, epochs={**held.epochs, bare.number: bare})
    return replace(state, groups=Groups.of(fresh))


def _distribution(made: World) -> list[Row]:
    answered = without_chain(made, made.author)
    first = sent(made, answered)
    spoke_last = replace(first.state, groups=answered.groups, outbox={})
    others = made.size - 1
    chain = (1, Needs(signing_keys=1))
    message = (1, messages.seal_needs(1, 120))
    letters = changes.letters(first, answered)
    found: list[Row] = []
    for how, state, step in (
        ("each answered last", answered, True),
        ("one way", spoke_last, False),
    ):
        found.append(
            _case(
                made,
                f"distribute one sender key, {how}",
                partial(sent, made, state),
                (others, pairs.seal_needs(step=step)),
                chain,
                message,
            )
        )
    size = Size(
        SECTION,
        f"bytes of one sender key's distribution, n = {made.size:,}",
        "bytes",
        lambda: sum(len(letter.body) for letter in letters),
        note=f"{others:,} envelopes, as the server stores them",
    )
    return [*found, size]


# --- epochs --------------------------------------------------------------------------------------


def _epoch(made: World) -> list[Row]:
    removed = Removed.of(made)
    state = removed.entered_without_secret()
    held = made.held(state)

    def enter() -> None:
        turn = Turn(held, state.core.identity, int(NOW * 1000), ENTROPY)
        epochs.install(turn, held.core.head, removed.secret)

    chains = made.size - 2
    case = _case(
        made,
        f"enter an epoch with {chains:,} chains",
        enter,
        (chains, Needs(hmac=CARRY)),
        (1, Needs(hmac=SPLIT)),
        note="the values; the rows are in the removal's figures",
    )
    return [replace(case, target=Target("value", 50.0))]


# --- removal -------------------------------------------------------------------------------------


def _removal(made: World) -> list[Row]:
    removed = Removed.of(made)
    others = made.size - 2
    letters = removed.author_letters
    hashed = (400, 500, 32 * others + 60)  # entry, log, members
    entry = Needs(sign=1, sha=hashed, hmac=(60, 60, 260), seal=(700, 114))
    carry = ((others, Needs(hmac=CARRY)), (1, Needs(hmac=SPLIT, sha=(32 * others + 60,))))
    # An entry or a confirm.
    opened = Needs(verify=1, sha=(800, 400), hmac=(60, 60, 260), unseal=(700, 114))
    n = f", n = {made.size:,}"
    return [
        _case(
            made,
            "removal, author: the change and its letters",
            removed.author_changes,
            (others, pairs.seal_needs(step=True)),
            (1, entry),
            note="every other device had answered last: each letter turns its ratchet",
        ),
        _case(
            made,
            "removal, author: the server's answers to the letters",
            removed.author_is_answered,
            note="no primitive is needed",
        ),
        _case(
            made,
            "removal, author: its entry and a confirm",
            removed.author_enters,
            (1, opened),
            (1, opened),
            *carry,
        ),
        _case(
            made,
            "removal, each other member: letter, entry, confirm",
            removed.member_follows,
            (1, pairs.open_needs(step=True)),
            (1, opened),
            (1, opened),
            *carry,
        ),
        Size(
            SECTION,
            f"removal, bytes of the author{n}",
            "bytes",
            lambda: sum(len(letter.body) for letter in letters) + len(removed.entry.body),
            Target("value", REMOVAL_BYTES) if made.size >= 1_000 else None,
            note="envelopes and the entry, as the server stores them",
        ),
        Size(
            SECTION,
            f"removal, bytes uploaded{n}",
            "bytes",
            lambda: removed.uploaded,
            note="the same with the tokens, names and ids of the requests",
        ),
        Size(
            SECTION,
            f"removal, letters{n}",
            "letters",
            lambda: len(letters),
            Target("value", made.size - 1),
        ),
        Size(SECTION, f"removal, one letter{n}", "bytes", lambda: len(letters[0].body)),
    ]


# --- joining -------------------------------------------------------------------------------------


def _join(made: World) -> list[Row]:
    joined = Joined.of(made)
    known = made.size
    carry = ((known, Needs(hmac=CARRY)), (1, Needs(hmac=SPLIT, sha=(32 * known,))))
    joins = (3 * known + joined.entries, Needs(verify=1))
    return [
        _case(
            made,
            "join, author: the change, its echo and the letters",
            joined.author_adds,
            (1, Needs(sign=1, verify=1)),
            (joined.letters, pairs.seal_needs(step=False)),
            *carry,
            before=partial(warm, made),
        ),
        _case(
            made,
            "join, each other member: the entry",
            joined.member_follows,
            (4, Needs(verify=1)),
            *carry,
            before=partial(_stranger_joins, made),
            note="the joiner's device list was not seen before",
        ),
        _case(
            made,
            "join, the joiner: log, secret, addresses",
            joined.joiner_enters,
            joins,
            (joined.letters, pairs.open_needs(step=False)),
            (1, Needs(hmac=SPLIT)),
            before=pairs.forget,
            note="three signatures for each member's device list, one for each entry",
        ),
        Size(
            SECTION,
            f"join, bytes to the joiner, n = {made.size:,}",
            "bytes",
            lambda: joined.bytes_to_joiner,
            note=f"{joined.letters:,} envelopes: the log, the secret, where members live",
        ),
    ]


def _stranger_joins(made: World) -> None:
    pairs.forget()
    home = made.member.people[made.author.account]
    identity.read_account_record(home.record)
