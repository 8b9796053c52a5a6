"""One line of a script (spec 16.1).

Rules of this file:
- An action is frozen and its repr is the code that makes it: a script can be pasted as a test.

What can be done is in `actions`, and what can be said in `sayings`.
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, repr=False)
class Action:
    """One line of a script."""

    def __repr__(self) -> str:
        values = [f"{getattr(self, each.name)!s}" for each in fields(self) if each.name == "who"]
        shown: list[str] = [repr(value) for value in values]
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "who" or value == each.default:
                continue
            text = repr(str(value)) if isinstance(value, str) else repr(value)
            shown.append(text if each.name in PLACES else f"{each.name}={text}")
        return f"{type(self).__name__}({', '.join(shown)})"


PLACES = frozenset(
    ("who", "group", "place", "other", "text", "to", "sign", "seconds", "lie")
)  # plain without a name


__all__ = ["Action"]
