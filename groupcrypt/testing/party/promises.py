"""What any group chat promises, seen from outside: from who said what, and who was shown it.

Rules of this file:
- A checker knows no keys and no protocol. It compares what clients showed with what was said, and
  with whom the sender counted as members at that moment.
- It returns complaints as texts; an empty list is a pass. Each has a test in which it fires.
- Ask at the end of a party that was healed and has `settled`: what was promised is there then.

What only this library promises, and shows in its states, is in `checkers`.
"""

from collections import Counter
from typing import Final, Protocol

from groupcrypt.testing.party.journal import Journal, Said


class Promise(Protocol):
    """One property of a chat."""

    @property
    def name(self) -> str:
        """What it is called in a complaint."""
        ...

    def complaints(self, journal: Journal) -> list[str]:
        """Everything that is against it."""
        ...


class Authorship:
    """What is shown was said by the one who is shown as its sender."""

    name = "authorship"

    def complaints(self, journal: Journal) -> list[str]:
        said = {(one.sender, one.text) for one in journal.said}
        return [
            f"{reader} was shown something as of {one.sender}, who never said it"
            for reader, shown in journal.shown.items()
            for one in shown
            if (one.sender, one.text) not in said
        ]


class Exclusion:
    """Nobody reads what was said while its sender knew him outside, unless he was added later."""

    name = "exclusion"

    def complaints(self, journal: Journal) -> list[str]:
        said = {(one.sender, one.text): one for one in journal.said}
        found: list[str] = []
        for reader, shown in journal.shown.items():
            for one in shown:
                spoken = said.get((one.sender, one.text))
                if spoken is not None and self._outside(reader, spoken, one.at, journal):
                    label = journal.label(one.sender, one.text)
                    found.append(
                        f"{reader} read {label} of {one.sender} at {one.at:.1f} s, said to"
                        f" {' '.join(sorted(spoken.to))} at {spoken.at:.1f} s"
                    )
        return found

    def _outside(self, reader: str, spoken: Said, until: float, journal: Journal) -> bool:
        added = any(
            change.verb == "add" and reader in change.names and spoken.at <= change.at <= until
            for change in journal.changes
        )
        return reader not in spoken.to and not added


class Delivery:
    """Who was a member when something was said, and stayed one as its sender did, reads it."""

    name = "delivery"

    def complaints(self, journal: Journal) -> list[str]:
        found: list[str] = []
        for one in journal.said:
            if not one.done:
                continue  # it may have been sent or not
            for reader in sorted(one.to - {one.sender} - self._removed(one, journal)):
                shown = [(s.sender, s.text) for s in journal.shown.get(reader, [])]
                if (one.sender, one.text) not in shown and not self._gone(one, journal):
                    label = journal.label(one.sender, one.text)
                    found.append(f"{reader} never read {label} of {one.sender}")
        return found

    def _removed(self, spoken: Said, journal: Journal) -> set[str]:
        return {
            name
            for change in journal.changes
            if change.verb == "remove" and change.until >= spoken.at
            for name in change.names
        }

    def _gone(self, spoken: Said, journal: Journal) -> bool:
        return spoken.sender in self._removed(spoken, journal)


class Once:
    """Nobody is shown anything twice, but for what came last before a client ended."""

    name = "once"

    def complaints(self, journal: Journal) -> list[str]:
        found: list[str] = []
        for reader, shown in journal.shown.items():
            counted = [
                one
                for before, one in zip([None, *shown], shown, strict=False)
                if before is None
                or (before.sender, before.text) != (one.sender, one.text)
                or before.life == one.life
            ]
            counts = Counter((one.sender, one.text) for one in counted)
            found += [
                f"{reader} read {journal.label(*what)} of {what[0]} {number} times"
                for what, number in counts.items()
                if number > 1
            ]
        return found


class Order:
    """What one person said is shown in the order in which it was said."""

    name = "order"

    def complaints(self, journal: Journal) -> list[str]:
        place = {(one.sender, one.text): number for number, one in enumerate(journal.said)}
        found: list[str] = []
        for reader, shown in journal.shown.items():
            newest: dict[str, int] = {}
            for one in dict.fromkeys((one.sender, one.text) for one in shown):
                number = place.get(one, -1)
                if number < newest.get(one[0], -1):
                    found.append(f"{reader} read {journal.label(*one)} of {one[0]} too late")
                newest[one[0]] = max(number, newest.get(one[0], -1))
        return found


PROMISES: Final[tuple[Promise, ...]] = (Authorship(), Exclusion(), Delivery(), Once(), Order())


def complaints(journal: Journal, *promises: Promise) -> list[str]:
    """What was against these promises, or against any; each begins with the promise's name."""
    return [
        f"{promise.name}: {each}"
        for promise in promises or PROMISES
        for each in promise.complaints(journal)
    ]


__all__ = [
    "PROMISES",
    "Authorship",
    "Delivery",
    "Exclusion",
    "Once",
    "Order",
    "Promise",
    "complaints",
]
