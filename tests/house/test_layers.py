"""Who may import whom, and that `protocol/` stays pure; each rule is shown to bite.

The order is that of spec/README.md: what stands further left may be imported, never the reverse,
and modules of one level do not know each other.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ORDER = (
    ("errors",),
    ("protocol.limits", "protocol.identifiers", "protocol.reasons"),
    ("protocol.primitives",),
    ("protocol.wire",),
    ("protocol.identity",),
    ("protocol.attachment",),
    tuple(
        f"protocol.{name}"
        for name in (
            *("handshake", "ratchet", "sender_key"),
            *("membership", "content", "media"),
        )
    ),
    ("protocol.reports",),
    ("protocol.events", "protocol.conversation"),
    ("protocol.pairwise", "protocol.group"),
    ("protocol.records",),
    ("protocol.broadcast",),
    ("protocol.device",),
    ("store", "framing", "entropy"),
    ("connection",),
    ("node", "server"),
    ("",),  # groupcrypt/__init__.py: the public names
    ("testing",),
    ("cli",),
    ("__main__",),
)
LEVEL = {unit: level for level, units in enumerate(ORDER) for unit in units}

GROUP_SIDE = {f"protocol.{name}" for name in ("sender_key", "membership", "reports", "group")}
PAIRWISE_SIDE = {f"protocol.{name}" for name in ("handshake", "ratchet", "pairwise")}

# Third parties, and which modules or folders alone import them. The doctor asks each for its
# version and tries it out.
IMPORTERS: Mapping[str, tuple[str, ...]] = {
    "cryptography": (
        *("protocol.primitives", "server.certificate", "cli.checks"),
        *("cli.bench.floors", "cli.bench.files"),  # floors, which may not go through the library
    ),
    "msgpack": ("protocol.wire",),
    "sqlite3": (
        *("store.database", "server.engines", "cli.checks", "cli.checks_given"),
        "cli.bench.floors",
    ),
    "pytest": ("testing.pytest_plugin",),  # which only pytest itself imports
}

# What computes and does nothing else. Add to it only what has no clock, no state and no I/O.
PURE = {
    *("abc", "base64", "binascii", "bisect", "collections", "contextlib", "dataclasses", "enum"),
    *("functools", "hashlib", "heapq", "hmac", "itertools", "math", "operator", "re", "string"),
    *("struct", "types", "typing", "unicodedata", "zlib", "cryptography", "msgpack"),
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}


def sources() -> dict[str, str]:
    """The text of every module, by its name without the leading `groupcrypt.`."""
    package = ROOT / "groupcrypt"
    found: dict[str, str] = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path.read_text("utf-8")
    return found


def unit_of(module: str) -> str:
    """The entry of ORDER a module belongs to: `protocol.group.epochs` is of `protocol.group`."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "protocol" else 1])


def imports(source: str) -> Iterator[str]:
    """Every module or name that is imported, with full names."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                yield from (f"{module}.{alias.name}" for alias in node.names)
            case ast.ImportFrom():
                yield "a relative import"


def own(name: str, modules: Mapping[str, str]) -> str | None:
    """The module of ours that an imported full name belongs to, or None."""
    if name.partition(".")[0] != "groupcrypt":
        return None
    inner = name.removeprefix("groupcrypt").removeprefix(".")
    while inner and inner not in modules:  # a name inside a module
        inner = inner.rpartition(".")[0]
    return inner


def violations(modules: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    for module, source in modules.items():
        mine = unit_of(module)
        if mine not in LEVEL and module != "protocol":
            found.append(f"{module} has no place in ORDER")
            continue
        for name in imports(source):
            top = name.partition(".")[0]
            target = own(name, modules)
            if name == "a relative import":
                found.append(f"{module} has a relative import")
            elif target is not None:
                found += layer_violation(module, target)
            elif top not in sys.stdlib_module_names and top not in {*IMPORTERS, "trio"}:
                found.append(f"{module} imports {top}, which is no dependency")
            if top in IMPORTERS and not f"{module}.".startswith(
                tuple(f"{importer}." for importer in IMPORTERS[top])
            ):
                found.append(f"{module} imports {top}")
            if mine.startswith("protocol") and target is None and top not in PURE:
                found.append(f"{module} imports {top}")
        if mine.startswith("protocol"):
            found += [f"{module} {fault}" for fault in impurities(source)]
    return found


def layer_violation(module: str, target: str) -> list[str]:
    mine, other = unit_of(module), unit_of(target)
    if mine == other:
        return []
    pair = {mine, other}
    crossing = pair & GROUP_SIDE and pair & PAIRWISE_SIDE
    if other not in LEVEL or LEVEL[other] >= LEVEL[mine] or crossing:
        return [f"{module} imports {target or 'groupcrypt'}"]
    return []


def impurities(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield "is async"
            case ast.Global():
                yield "has a global that changes"
            case ast.Call(func=ast.Name(id=called)) if called in IMPURE_CALLS:
                yield f"calls {called}"


def cycle(modules: Mapping[str, str]) -> list[str]:
    """One cycle of imports between modules, or nothing."""
    graph = {
        module: {target for name in imports(source) if (target := own(name, modules)) is not None}
        for module, source in modules.items()
    }
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module not in done:
            for target in sorted(graph[module] - {module}):
                if loop := walk(target, [*path, module]):
                    return loop
        done.add(module)
        return []

    return next((loop for module in sorted(graph) if (loop := walk(module, []))), [])


def test_the_library_keeps_its_layers() -> None:
    found = violations(sources())
    assert not found, "\n".join(found)


def test_no_two_modules_import_each_other() -> None:
    loop = cycle(sources())
    assert not loop, " -> ".join(loop)


def test_every_module_opens_with_a_docstring() -> None:
    missing = [name for name, text in sources().items() if not ast.get_docstring(ast.parse(text))]
    assert missing == []


PLANTED = {
    "upwards": ("protocol.wire", "from groupcrypt.protocol import group"),
    "from a name": ("protocol.wire", "from groupcrypt.protocol.group import Group"),
    "sideways": ("protocol.ratchet", "import groupcrypt.protocol.handshake"),
    "group knows pairwise": ("protocol.group", "from groupcrypt.protocol import ratchet"),
    "pairwise knows group": ("protocol.pairwise", "from groupcrypt.protocol import sender_key"),
    "the public package from inside": ("protocol.wire", "import groupcrypt"),
    "relative": ("protocol.group", "from . import ratchet"),
    "a clock": ("protocol.group", "import time"),
    "a clock inside a function": ("protocol.group", "def f():\n    from time import time"),
    "trio": ("protocol.device", "import trio"),
    "a file": ("protocol.device", "open('x')"),
    "async": ("protocol.device", "async def f(): pass"),
    "hidden state": ("protocol.device", "n = 0\ndef f():\n    global n\n    n += 1"),
    "a second importer": ("store", "from cryptography.hazmat.primitives import hashes"),
    "a second codec": ("protocol.device", "import msgpack"),
    "a stranger": ("node", "import requests"),
    "a module without a place": ("utils", ""),
}


@pytest.mark.parametrize("planted", PLANTED, ids=str)
def test_a_planted_violation_is_found(planted: str) -> None:
    names = ("group", "handshake", "ratchet", "pairwise", "sender_key", "wire", "device")
    modules = {"": "", **{f"protocol.{name}": "" for name in names}}
    assert violations(modules) == []
    name, source = PLANTED[planted]
    assert violations({**modules, name: source}) != []


def test_a_planted_cycle_is_found() -> None:
    modules = {
        "protocol.group.a": "from groupcrypt.protocol.group import b",
        "protocol.group.b": "from groupcrypt.protocol.group.a import x",
        "protocol.group": "",
        "protocol": "",
        "": "",
    }
    assert set(cycle(modules)) == {"protocol.group.a", "protocol.group.b"}
