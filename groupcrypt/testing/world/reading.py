"""A case read from the text that a failure is told as; nothing of it is run (spec 16.1).

Rules of this file:
- Only what `Case.code` writes is understood: a world, its actions, constants. All else is refused
  with its line, so that a file of somebody else can do no more than an action can.
"""

import ast
from typing import Any

from groupcrypt.testing.world import actions
from groupcrypt.testing.world.actions import Action
from groupcrypt.testing.world.case import Case
from groupcrypt.testing.world.network import CALM, Faults

_WORLD: dict[str, Any] = {"faults": CALM, "pace": 1.0}


def read_case(text: str) -> Case:
    """The case of this text; raises `ValueError` with the line that is not understood."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: not a script") from None
    if isinstance(tree, ast.Call) and _method(tree) == "settle":
        assert isinstance(tree.func, ast.Attribute)
        tree = tree.func.value
    match tree:
        case ast.Call(func=ast.Attribute(value=ast.Call() as world, attr="play"), keywords=[]):
            script = tuple(_action(each) for each in tree.args)
        case _:
            raise _refused(tree, "World(...).play(...) is wanted")
    if _name(world) != "World" or len(world.args) != 2:
        raise _refused(world, "World(seed, names) is wanted")
    seed, names = (_constant(each) for each in world.args)
    more = _WORLD | {str(each.arg): _constant(each.value) for each in world.keywords}
    if more.keys() != _WORLD.keys() or not isinstance(names, str) or not isinstance(seed, int):
        raise _refused(world, "World(seed, names, faults=..., pace=...) is wanted")
    return Case(seed, names, more["faults"], float(more["pace"]), script)


def _action(node: ast.expr) -> Action:
    kind = getattr(actions, _name(node), None) if isinstance(node, ast.Call) else None
    if not (isinstance(kind, type) and issubclass(kind, Action)):
        raise _refused(node, "no such action")
    made: Action = _made(kind, node)
    return made


def _constant(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and _name(node) == "Faults":
        return _made(Faults, node)
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise _refused(node, "only constants are understood") from None


def _made(kind: type[Any], node: ast.expr) -> Any:
    assert isinstance(node, ast.Call)  # callers checked
    named = {str(each.arg): _constant(each.value) for each in node.keywords}
    try:
        return kind(*(_constant(each) for each in node.args), **named)
    except TypeError as error:
        raise _refused(node, str(error)) from None


def _name(node: ast.expr) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _method(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ""


def _refused(node: ast.expr, why: str) -> ValueError:
    return ValueError(f"line {node.lineno}: {why}")


__all__ = ["read_case"]
