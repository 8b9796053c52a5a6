"""A trace as the text of a Mermaid sequence diagram, to go on from in documents and issues.

Rules of this file:
- One statement for each act, in the order of the rows; what the other form shows by bands stands in
  notes.
"""

from collections.abc import Iterator
from typing import Final

from groupcrypt.testing.picture.lanes import parties_of
from groupcrypt.testing.picture.rows import GIVEN, Row, rows_of, sentence
from groupcrypt.testing.trace import SERVER, WORLD, Kind, Line

_BY_SERVER: Final = frozenset({Kind.SHOWN, Kind.OPENED, Kind.ENTRY, Kind.ROTATE})


def mermaid(lines: tuple[Line, ...]) -> str:
    """The diagram of these lines."""
    parties = parties_of(lines)
    middle = (len(parties) + 1) // 2
    order = (*parties[:middle], SERVER, *parties[middle:])
    aliases = {name: f"p{number}" for number, name in enumerate(order)}
    said = ["sequenceDiagram"]
    said += [f"    participant {alias} as {name}" for name, alias in aliases.items()]
    for row in rows_of(lines):
        said += [f"    {statement}" for statement in _statements(row, aliases)]
    return "\n".join(said) + "\n"


def _statements(row: Row, aliases: dict[str, str]) -> Iterator[str]:
    words = sentence(row).replace(";", ",").replace("#", "")
    server, names = aliases[SERVER], [aliases[name] for name in row.whose if name in aliases]
    kinds = row.kinds
    if row.first.who == WORLD:
        yield f"Note over {next(iter(aliases.values()))},{[*aliases.values()][-1]}: {words}"
    elif kinds & GIVEN:
        arrow = "-x" if row.bad else "-)" if Kind.LETTER in kinds else "->>"
        yield f"{names[0]}{arrow}{server}: {words}"
    elif kinds & _BY_SERVER:
        arrow = "--x" if row.bad else "-->>"
        yield from (f"{server}{arrow}{name}: {words}" for name in names)
    else:
        yield from (f"Note over {name}: {words}" for name in names)


__all__ = ["mermaid"]
