"""What people and groups are called on the screen, and which of them is meant by a word.

Rules of this file:
- A name is what its owner chose, so two people may have one: then each gets a piece of its id,
  also one who has chosen my name.
"""

from collections import Counter

from groupcrypt import Contact, Group, LocalError, Node

LONGEST = 32  # characters of a name or title


class NotOne(LocalError):
    """A word that names nobody, or more than one."""

    code = "not-one"


def label(node: Node, account: bytes) -> str:
    """What a person is called; unlike everybody else."""
    everybody = (*node.contacts, Contact(node, node.account))
    names = Counter(_cut(contact.name).casefold() for contact in everybody)
    name = _cut(next((one.name for one in everybody if one.account == account), ""))
    if not name:
        return account.hex()[:8]
    return name if names[name.casefold()] == 1 else f"{name}/{account.hex()[:8]}"


def title(node: Node, group: Group) -> str:
    """What a group is called; unlike every other."""
    titles = Counter(_cut(other.title).casefold() for other in node.groups)
    mine = _cut(group.title) or group.id.hex()[:8]
    return mine if titles[mine.casefold()] <= 1 else f"{mine}/{group.id.hex()[:8]}"


def groups(node: Node) -> list[Group]:
    """Every group in the order of /groups."""
    return sorted(node.groups, key=lambda group: (title(node, group).casefold(), group.id))


def person(node: Node, word: str) -> Contact:
    """The one contact a word names: its label, name or the begin of its id; raises `NotOne`."""
    wanted = word.strip().casefold()
    called = [one for one in node.contacts if label(node, one.account).casefold() == wanted]
    called = called or [one for one in node.contacts if one.name.casefold() == wanted]
    if not called and len(wanted) >= 6:
        called = [one for one in node.contacts if one.account.hex().startswith(wanted)]
    if not called:
        raise NotOne(f"nobody here is called {word.strip()!r}: /import their card first")
    if len(called) > 1:
        names = ", ".join(label(node, one.account) for one in called)
        raise NotOne(f"several are: say which of {names}")
    return called[0]


def person_and_rest(node: Node, text: str) -> tuple[Contact, str]:
    """A contact and what follows; a name may have spaces. Raises `NotOne`."""
    for contact in sorted(node.contacts, key=lambda one: -len(label(node, one.account))):
        name = label(node, contact.account)
        if text.casefold().startswith(f"{name.casefold()} "):
            return contact, text[len(name) :].strip()
    word, _, rest = text.partition(" ")
    return person(node, word), rest.strip()


def group_called(node: Node, word: str) -> Group:
    """The one group a number of /groups or a title names; raises `NotOne`."""
    listed, wanted = groups(node), word.strip().casefold()
    called = [group for group in listed if title(node, group).casefold() == wanted]
    if not called and wanted.isdecimal() and 1 <= int(wanted) <= len(listed):
        return listed[int(wanted) - 1]
    called = called or [one for one in listed if title(node, one).casefold().startswith(wanted)]
    if len(called) != 1:
        raise NotOne(
            f"{'several groups are' if called else 'no group is'} called that: see /groups"
        )
    return called[0]


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
