"""What a function of ours can refuse, read from its source: nobody declares it beside the code, so it cannot fall behind.

Read are the function itself and every function of ours that it names, and so on. A refusal is raised, or it is made and
handed on as the outcome of one item: `except` turns the one into the other, `only` turns it back. A method of a value is
looked for by its name in the classes that the module knows; that can find too much, and branches are not told apart.
"""

import ast
import builtins
import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType, MethodType, ModuleType
from typing import Any

from shared.errors import ServiceError

OURS = {"shared", "services", "tests"}
Refusal = type[ServiceError]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Found:
    """What was found in a function, or in a part of one."""

    raised: set[Refusal] = field(default_factory=set)
    made: set[Refusal] = field(default_factory=set)
    """Handed on as outcomes."""
    headers: set[str] = field(default_factory=set)
    """The names that it may set on its answer, in lower case."""
    raises_outcomes: bool = False
    """It raises what others have made, such as `only`."""
    makes_outcomes: bool = False
    """What a function that is handed to it raises is caught, and is an outcome."""

    def take(self, other: "Found") -> None:
        """Adds what is found in a part."""
        self.raised |= other.raised
        self.made |= other.made
        self.headers |= other.headers
        self.raises_outcomes |= other.raises_outcomes


_known: dict[FunctionType, Found] = {}


def found_in(called: Any) -> Found:
    """What a function, a method or a partial of one can refuse; nothing where it is not ours."""
    function = _function(called)
    if function is None or not _is_ours(function):
        return Found()
    if function not in _known:
        _known[function] = Found()  # for one that comes back to itself
        tree = _functions(function.__code__.co_filename).get(function.__code__.co_firstlineno)
        if tree is not None and tree.name == function.__name__:
            _known[function] = _Reader(function, tree).read(tree)
    return _known[function]


def _is_ours(thing: type | FunctionType) -> bool:
    return thing.__module__.partition(".")[0] in OURS


def _function(called: Any) -> FunctionType | None:
    if isinstance(called, functools.partial):
        return _function(called.func)
    if isinstance(called, property):
        return _function(called.fget)
    if isinstance(called, MethodType | staticmethod | classmethod):
        return _function(called.__func__)
    found = inspect.unwrap(called) if callable(called) else None
    return found if isinstance(found, FunctionType) else None


@functools.cache
def _functions(file: str) -> Mapping[int, Function]:
    """Every function of a file by the line it begins on; none where a library made it and there is no file."""
    try:
        with open(file, encoding="utf-8") as source:
            tree = ast.parse(source.read())
    except OSError:
        return {}
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {min([one.lineno, *(by.lineno for by in one.decorator_list)]): one for one in functions}


@functools.cache
def _members(module: str, classes: tuple[type, ...]) -> Mapping[str, list[Any]]:
    """The methods and properties of the classes that a module knows, by name."""
    found: dict[str, list[Any]] = {}
    for one in classes:
        for name, member in ((name, member) for base in one.__mro__ for name, member in vars(base).items()):
            if isinstance(member, FunctionType | property | staticmethod | classmethod):
                found.setdefault(name, []).append(member)
    return found


def _is_refusal(meant: Any) -> bool:
    return isinstance(meant, type) and issubclass(meant, ServiceError) and meant is not ServiceError


class _Reader(ast.NodeVisitor):
    """Walks one function; values are not followed, names are."""

    def __init__(self, function: FunctionType, tree: Function) -> None:
        self.found = Found()
        self._names: dict[str, Any] = dict(vars(builtins))
        self._names |= {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
        self._given = {one.arg for one in ast.walk(tree.args) if isinstance(one, ast.arg)}
        self._local = self._given | set(_assigned(tree))
        self._inner: dict[str, Found] = {}
        known = function.__globals__.values()
        classes = tuple(one for one in known if isinstance(one, type) and _is_ours(one))
        self._members = _members(function.__module__, classes)

    def read(self, tree: Function) -> Found:
        """What is found in the whole of it."""
        self._visit(tree.body)
        if self.found.raises_outcomes:
            self.found.raised |= self.found.made
        return self.found

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in self._inner:
            self.found.take(self._inner[node.id])
        else:
            self._meet(self._meant(node))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        meant = self._meant(node)
        if meant is not None:
            self._meet(meant)
            return
        self.visit(node.value)
        for one in self._members.get(node.attr, ()):
            if isinstance(one, property):
                self.found.take(found_in(one))

    def visit_Call(self, node: ast.Call) -> None:
        meant = self._meant(node.func)
        if meant in (isinstance, issubclass):
            self.visit(node.args[0])
            return
        refusal = meant.__self__ if isinstance(meant, MethodType) else meant
        if isinstance(refusal, type) and _is_refusal(refusal):
            self.found.made.add(refusal)
        elif isinstance(node.func, ast.Attribute) and meant is None:
            self.visit(node.func.value)
            for one in self._members.get(node.func.attr, ()):
                self.found.take(found_in(one))
        else:
            self.visit(node.func)
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        kept = [self._meant(one) for one in arguments] if isinstance(meant, type) and _is_ours(meant) else []
        given = self._within(arguments)
        if found_in(meant).makes_outcomes or any(_function(one) for one in kept):
            given.made |= given.raised  # who calls the function that is handed over makes outcomes of it
            given.raised = set()
        self.found.take(given)

    def visit_Raise(self, node: ast.Raise) -> None:
        if isinstance(node.exc, ast.Name) and node.exc.id in self._local:
            self.found.raises_outcomes = True
        elif node.exc is not None:
            raised = self._within([node.exc])
            self.found.raised |= raised.raised | raised.made

    def visit_Try(self, node: ast.Try) -> None:
        inner = self._within(node.body)
        for handler in node.handlers:
            kinds = self._kinds(handler.type)
            if any(isinstance(one, ast.Raise) and one.exc is None for one in ast.walk(handler)):
                continue
            caught = {one for one in inner.raised if issubclass(one, kinds)}
            inner.raised -= caught
            inner.made |= caught if handler.name else set()
            if issubclass(ServiceError, kinds):
                inner.raises_outcomes = False
                calls = (one.func for body in node.body for one in ast.walk(body) if isinstance(one, ast.Call))
                handed = {one.id for one in calls if isinstance(one, ast.Name)} & self._given
                self.found.makes_outcomes |= bool(handed)
        self.found.take(inner)
        self._visit([*(one for handler in node.handlers for one in handler.body), *node.orelse, *node.finalbody])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._inner[node.name] = self._within(node.body)  # counted where it is named

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  the name that the visitor asks for

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Attribute) and node.value.attr == "headers":
            self._header(node.slice)
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key in node.keys:
            self._header(key)
        self.generic_visit(node)

    def _header(self, node: ast.expr | None) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.found.headers.add(node.value.lower())

    def _visit(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def _within(self, nodes: Iterable[ast.AST]) -> Found:
        """What is found in a part alone."""
        outside, self.found = self.found, Found()
        self._visit(nodes)
        inside, self.found = self.found, outside
        return inside

    def _kinds(self, node: ast.expr | None) -> tuple[type, ...]:
        parts = node.elts if isinstance(node, ast.Tuple) else [node] if node is not None else []
        return tuple(one for one in map(self._meant, parts) if isinstance(one, type))

    def _meant(self, node: ast.expr) -> Any:
        """What a name, or an attribute of one, stands for in the module; None for what only the run knows."""
        if isinstance(node, ast.Name):
            return None if node.id in self._local else self._names.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self._meant(node.value)
            return getattr(owner, node.attr, None) if isinstance(owner, ModuleType | type) else None
        return None

    def _meet(self, meant: Any) -> None:
        if _is_refusal(meant):
            self.found.raised.add(meant)  # handed to somebody who raises it
        elif isinstance(meant, type):
            for name in ("__init__", "__post_init__"):
                self.found.take(found_in(vars(meant).get(name)))
        else:
            self.found.take(found_in(meant))


def _assigned(tree: Function) -> Iterator[str]:
    """Names that a function gives to values of its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.ExceptHandler | ast.FunctionDef | ast.AsyncFunctionDef) and node is not tree:
            yield node.name or ""
