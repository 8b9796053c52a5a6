"""Draws scripts: what people do, and what befalls them, one action after the other (spec 16.1).

Rules of this file:
- It is drawn from the seed and from who is a member where; a script that was drawn is played again
  without it.
- Each seed has habits of its own: some things happen often, some never. Faults that never stop
  hide what one of them alone would show.
- In some worlds accounts have several devices. Everybody who does something is a device; those it
  is done to are people, by the name of the device that holds their account.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from groupcrypt.protocol.identifiers import GroupId
from groupcrypt.testing.world import actions as a
from groupcrypt.testing.world.network import Chance, Faults
from groupcrypt.testing.world.world import World

PEOPLE: Final = (
    *("alice", "bob", "carol", "dave", "eve", "frank", "grace", "heidi", "ivan", "judy"),
    *("kevin", "laura", "mike", "nina", "oscar", "peggy", "quinn", "rupert", "sybil", "trent"),
)
# With what people say beside texts, the rest stays as frequent as if there were nothing else.
ALWAYS: Final = {"send": 44, "direct": 6, "add": 10, "remove": 6, "wait": 10, "see": 5}
SOMETIMES: Final = {
    "leave": 3,
    "role": 4,
    "policy": 4,
    "timer": 3,
    "receipts": 1,
    "typing": 2,
    "update": 5,
    "found": 1,
    "restart": 4,
    "kill": 8,
    "offline": 4,
    "leap": 2,
    "cut": 5,
    "clog": 3,
    "outage": 2,
    "throttle": 3,
    "withhold": 3,
    "replay": 3,
    "inject": 3,
    "leak": 1,
    "restore": 2,
    "deceive": 6,
}
# What is said, of a hundred messages; about another one, if there is one.
ABOUT: Final = {"reply": 8, "react": 8, "edit": 6, "delete": 4}
OTHERS: Final = {"custom": 4, "attach": 3}
TIMERS: Final = (0, 5, 60, 300, 3_600, 86_400)  # seconds
SIGNS: Final = ("", "+1", "?!")
RECENT: Final = 12  # messages that somebody may still say something about
LINKING: Final = {"link": 4, "revoke": 2}  # in worlds with several devices for one account
MOST_LINKED: Final = 3  # to one account, ever: each makes a group dearer
BAD: Final = {"alter": 2, "rewind": 1, "reorder": 2, "fork": 1}


class Driver:
    """The habits of a seed, and what it wants done next."""

    def __init__(self, seed: int, *, people: int | None = None, honest: bool = True) -> None:
        """`people`: how many there are; `honest`: the server does nothing that breaks a group."""
        self._chance = Chance(seed)
        number = people or 2 + self._below(5)
        self.names = PEOPLE[:number]
        self.faults = Faults(
            loss=self._either(0.0, 0.1 * self._number()),
            duplicate=self._either(0.0, 0.1 * self._number()),
            delay=self._either(0.05, 2.0 * self._number()),
        )
        self.pace = self._either(0.5, 4.0 * self._number())
        kinds = SOMETIMES if honest else {**SOMETIMES, **BAD}
        self._weights = ALWAYS | {k: w for k, w in kinds.items() if self._number() < 0.5}
        self._said = 0
        self._recent: deque[tuple[frozenset[str], str]] = deque(maxlen=4 * RECENT)
        self._liar = self.names[self._below(len(self.names))]
        # By the number, so that what the other seeds draw does not depend on this.
        self._several = seed % 4 == 2
        self._shown: dict[str, str] = {}  # new devices, and who reads their texts
        if self._several:
            self._weights |= LINKING

    def world(self, seed: int) -> World:
        """An empty world in which this driver feels at home."""
        return World(seed, " ".join(self.names), faults=self.faults, pace=self.pace)

    def opening(self) -> list[a.Action]:
        """How a script begins: a group, and some of the others in it."""
        first, *others = self.names
        begun: list[a.Action] = []
        if self._several:  # some had two devices before there was a group
            begun += [self._new_device(name) for name in self.names if self._number() < 0.3]
            begun.append(a.Wait(5.0))
        begun.append(a.Found(first, "g1"))
        begun += [a.Add(first, "g1", other) for other in others if self._number() < 0.8]
        return [*begun, a.Wait(5.0)]

    def next(self, world: World) -> a.Action:
        """The next action in this world."""
        kind = self._pick_weighted()
        return MAKERS[kind](self, world)

    # --- chance ---------------------------------------------------------------------------------

    def _number(self) -> float:
        return self._chance.number("driver", "draw")

    def _below(self, bound: int) -> int:
        return self._chance.below("driver", "draw", bound)

    def _either(self, one: float, other: float) -> float:
        return one if self._number() < 0.5 else round(other, 3)

    def _pick_weighted(self) -> str:
        left = self._number() * sum(self._weights.values())
        for kind, weight in self._weights.items():
            left -= weight
            if left < 0:
                return kind
        return "wait"

    def _seconds(self, most: float) -> float:
        """Mostly short, sometimes up to `most`."""
        return round(most * self._number() ** 3, 2)

    # --- who and where --------------------------------------------------------------------------

    def _who(self, world: World) -> str:
        """Anybody who can do something."""
        devices = list(world.devices)
        return devices[self._below(len(devices))]

    def _group(self, world: World) -> str:
        labels = list(world.groups) or ["g1"]
        return labels[self._below(len(labels))]

    def _member(self, world: World, label: str) -> str:
        """Mostly a member; now and then anybody."""
        group = world.groups.get(label)
        members = [name for name in world.devices if group and _is_member(world, name, group)]
        if not members or self._number() < 0.03:
            return self._who(world)
        return members[self._below(len(members))]

    def _other(self, world: World, who: str) -> str:
        """Another person."""
        own = world.devices[who].account
        others = [name for name in self.names if world.devices[name].account != own]
        return others[self._below(len(others))]

    def _text(self, who: str) -> str:
        """A text that is part of no other one."""
        self._said += 1
        return f"#{self._said} by {who}"

    # --- actions --------------------------------------------------------------------------------

    def send(self, world: World) -> a.Action:
        label = self._group(world)
        who = self._member(world, label)
        return self._saying(who, label, frozenset((label,)))

    def direct(self, world: World) -> a.Action:
        who = self._who(world)
        other = self._other(world, who)
        # By the account of its sender: it may be another device that says something about it.
        both = frozenset((other, self._holder(world, who)))
        return self._saying(who, other, both)

    def _holder(self, world: World, who: str) -> str:
        own = world.devices[who].account
        return next(name for name in self.names if world.devices[name].account == own)

    def _saying(self, who: str, place: str, talk: frozenset[str]) -> a.Action:
        """A text, mostly; or something else, or something about another message."""
        left = self._below(100)
        before = [text for where, text in self._recent if where == talk][-RECENT:]
        for kind, weight in (ABOUT if before else {}).items():
            left -= weight
            if left < 0:
                return self._about(kind, who, place, talk, before)
        text = self._text(who)
        self._recent.append((talk, text))
        for kind, weight in OTHERS.items():
            left -= weight
            if left < 0 and kind == "custom":
                return a.Custom(who, place, text)
            if left < 0:
                return a.Attach(who, place, text, self._below(6_000))
        expires = TIMERS[self._below(len(TIMERS))] if self._number() < 0.15 else None
        if place in self.names:
            return a.SendDirect(who, place, text, expires)
        return a.Send(who, place, text, expires)

    def _about(
        self, kind: str, who: str, place: str, talk: frozenset[str], before: list[str]
    ) -> a.Action:
        """An answer, a sign, or another text for an own message or none."""
        if kind in ("edit", "delete"):  # mostly one of one's own
            own = [text for text in before if text.endswith(f" {who}")]
            before = own or before
        to = before[self._below(len(before))]
        match kind:
            case "reply":
                text = self._text(who)
                self._recent.append((talk, text))
                return a.Reply(who, place, to, text)
            case "react":
                return a.React(who, place, to, SIGNS[self._below(len(SIGNS))])
            case "edit":
                return a.Edit(who, place, to, self._text(who))
            case _:
                return a.Delete(who, place, to)

    def _place(self, world: World, who: str) -> str:
        """A conversation that somebody has: a group, or mostly so."""
        return self._other(world, who) if self._number() < 0.3 else self._group(world)

    def see(self, world: World) -> a.Action:
        who = self._who(world)
        return a.See(who, self._place(world, who))

    def typing(self, world: World) -> a.Action:
        who = self._who(world)
        return a.Typing(who, self._other(world, who))

    def receipts(self, world: World) -> a.Action:
        who = self._who(world)
        return a.Receipts(who, self._place(world, who), on=self._number() < 0.5)

    def timer(self, world: World) -> a.Action:
        seconds = TIMERS[self._below(len(TIMERS))]
        if self._number() < 0.5:
            who = self._who(world)
            return a.Timer(who, self._other(world, who), seconds)
        label = self._group(world)
        return a.Timer(self._member(world, label), label, seconds)

    def found(self, world: World) -> a.Action:
        return a.Found(self._who(world), f"g{len(world.groups) + 1}")

    def add(self, world: World) -> a.Action:
        label = self._group(world)
        who = self._member(world, label)
        return a.Add(who, label, self._other(world, who))

    def remove(self, world: World) -> a.Action:
        label = self._group(world)
        who = self._member(world, label)
        return a.Remove(who, label, self._other(world, who))

    def role(self, world: World) -> a.Action:
        label = self._group(world)
        who = self._member(world, label)
        return a.Role(who, label, self._other(world, who), admin=self._number() < 0.8)

    def policy(self, world: World) -> a.Action:
        label = self._group(world)
        self._said += 1
        return a.Policy(self._member(world, label), label, f"name {self._said}")

    def leave(self, world: World) -> a.Action:
        label = self._group(world)
        return a.Leave(self._member(world, label), label)

    def update(self, world: World) -> a.Action:
        label = self._group(world)
        return a.Update(self._member(world, label), label)

    def link(self, world: World) -> a.Action:
        waiting = [name for name in self._shown if name in world.newcomers]
        if waiting and self._number() < 0.5:  # its text is read once more
            name = waiting[self._below(len(waiting))]
            return a.Link(self._shown[name], name)
        return self._new_device(self.names[self._below(len(self.names))])

    def _new_device(self, holder: str) -> a.Action:
        number = sum(each == holder for each in self._shown.values())
        if number == MOST_LINKED:
            return a.Wait(1.0)
        name = f"{holder}{2 + number}"
        self._shown[name] = holder
        dies = self._number() < 0.3
        return a.Link(holder, name, tuple(a.Point)[self._below(len(a.Point))] if dies else None)

    def revoke(self, world: World) -> a.Action:
        """Mostly by who holds the account; others cannot."""
        linked = [name for name in self._shown if name in world.devices]
        if not linked:
            return a.Wait(1.0)
        name = linked[self._below(len(linked))]
        holder = self._who(world) if self._number() < 0.1 else self._shown[name]
        return a.Revoke(holder, name)

    def wait(self, _: World) -> a.Action:
        return a.Wait(self._seconds(120.0))

    def restart(self, world: World) -> a.Action:
        return a.Restart(self._who(world))

    def kill(self, world: World) -> a.Action:
        return a.Kill(self._who(world), tuple(a.Point)[self._below(len(a.Point))])

    def offline(self, world: World) -> a.Action:
        most = 3 * 86_400.0 if self._number() < 0.1 else 600.0
        return a.Offline(self._who(world), self._seconds(most))

    def leap(self, world: World) -> a.Action:
        forward = self._number() < 0.5
        return a.Leap(
            self._who(world), self._seconds(86_400.0) if forward else -self._seconds(3_600.0)
        )

    def cut(self, world: World) -> a.Action:
        way = tuple(a.Way)[self._below(len(a.Way))]
        return a.Cut(self._who(world), self._seconds(300.0), way)

    def clog(self, world: World) -> a.Action:
        return a.Clog(self._who(world), self._seconds(120.0), self._seconds(30.0))

    def outage(self, _: World) -> a.Action:
        return a.Outage(self._seconds(120.0))

    def throttle(self, world: World) -> a.Action:
        return a.Throttle(self._who(world), self._seconds(60.0))

    def withhold(self, world: World) -> a.Action:
        return a.Withhold(self._who(world), self._seconds(300.0))

    def replay(self, world: World) -> a.Action:
        label = self._group(world)
        return a.Replay(self._member(world, label), label, 1 + self._below(5))

    def inject(self, world: World) -> a.Action:
        label = self._group(world)
        return a.Inject(self._member(world, label), label)

    def alter(self, world: World) -> a.Action:
        return a.Alter(self._who(world))

    def rewind(self, world: World) -> a.Action:
        label = self._group(world)
        return a.Rewind(self._member(world, label), label, 1 + self._below(4))

    def reorder(self, world: World) -> a.Action:
        return a.Reorder(self._who(world))

    def leak(self, world: World) -> a.Action:
        return a.Leak(self._who(world))

    def restore(self, world: World) -> a.Action:
        return a.Restore(self._who(world), 1 + self._below(20))

    def deceive(self, world: World) -> a.Action:
        label = self._group(world)
        lie = tuple(a.Lie)[self._below(len(a.Lie))]
        return a.Deceive(self._liar, label, lie)

    def fork(self, world: World) -> a.Action:
        some = [name for name in world.devices if self._number() < 0.5]
        return a.Fork(" ".join(some or self.names[:1]))


def _is_member(world: World, name: str, group: GroupId) -> bool:
    held = world.devices[name].state.groups.get(group)
    return held is not None and held.member


MAKERS: Final[dict[str, Callable[[Driver, World], a.Action]]] = {
    kind: getattr(Driver, kind) for kind in (*ALWAYS, *SOMETIMES, *LINKING, *BAD)
}
