"""The checkers behind test_tidy: each reads one file's text or one folder and names every break with its line."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50

Break = tuple[int, str]  # the line, and what is wrong there
Function = ast.FunctionDef | ast.AsyncFunctionDef

SERVICE_LAYERS = frozenset(
    "app router consumer handlers rules queries tables schemas errors settings".split()  # noqa: SIM905
)
EVENT_TYPE = re.compile(r"cn\.jicai\.[a-z]+\.[a-z_]+\.[a-z_]+\.v\d+")

SQL_STAR = re.compile(r"RETURNING\s+(\w+\.)?\*|SELECT\s+\*\s+FROM\s+\w+\s+WHERE", re.IGNORECASE)
SQL_COMMIT = re.compile(r"(^|;)\s*COMMIT\b", re.IGNORECASE)
CLOCKS = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {"time", "time_ns"},
}


@dataclass(frozen=True)
class Law:
    """`home`: where the thing lives, by law. `exceptions`: path to reason; each must still be needed."""

    name: str
    breaks: Callable[[str, ast.Module], Iterator[Break]]
    home: tuple[str, ...] = ()
    exceptions: dict[str, str] = field(default_factory=dict)

    def holds_in(self, path: str) -> bool:
        """Whether the law speaks about this file; a home is a module, or a folder of the same name."""
        stem = path.removesuffix(".py")
        return path not in self.exceptions and not any(
            stem == home or stem.startswith(home + "/") for home in self.home
        )

    def complaints(self, path: str, text: str) -> list[str]:
        return [f"{path}:{line}: {what}" for line, what in self.breaks(text, ast.parse(text))]


def commits(text: str, tree: ast.Module) -> Iterator[Break]:
    documentation = set(_docstrings(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "commit":
            yield node.lineno, "commits"
        elif isinstance(node, ast.Constant) and node not in documentation and SQL_COMMIT.search(str(node.value)):
            yield node.lineno, "commits in SQL"


def takes_any_column(text: str, tree: ast.Module) -> Iterator[Break]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and SQL_STAR.search(str(node.value)):
            yield node.lineno, "takes whatever columns there are"


def freezes_by_itself(text: str, tree: ast.Module) -> Iterator[Break]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for made in node.decorator_list:
                if isinstance(made, ast.Call) and any(word.arg == "frozen" for word in made.keywords):
                    yield node.lineno, "freezes a dataclass by itself"


def imports_aiokafka(text: str, tree: ast.Module) -> Iterator[Break]:
    for node in ast.walk(tree):
        if any(name.split(".")[0] == "aiokafka" for name in _imported(node)):
            yield node.lineno, "imports aiokafka"  # type: ignore[attr-defined]


def asks_the_time(text: str, tree: ast.Module) -> Iterator[Break]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if node.attr in CLOCKS.get(owner, ()):
                yield node.lineno, f"asks {owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            for alias in node.names:
                if alias.name in CLOCKS["time"]:
                    yield node.lineno, f"imports time.{alias.name}"


def catches_everything(text: str, tree: ast.Module) -> Iterator[Break]:
    """A handler that ends by raising again cleans up and hides nothing."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler) or _raises_again(node):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {one.id for one in caught if isinstance(one, ast.Name)}
        if node.type is None or names & {"Exception", "BaseException"}:
            yield node.lineno, "catches everything"


def has_long_file(text: str, tree: ast.Module) -> Iterator[Break]:
    lines = text.count("\n")
    if lines > FILE_LINES_MAX:
        yield lines, f"has {lines} lines, of at most {FILE_LINES_MAX}"


def has_long_function(text: str, tree: ast.Module) -> Iterator[Break]:
    for node in _functions(tree):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield node.lineno, f"{node.name} has {lines} lines, of at most {FUNCTION_LINES_MAX}"


def opens_without_docstring(text: str, tree: ast.Module) -> Iterator[Break]:
    if not (ast.get_docstring(tree) or "").strip():
        yield 1, "opens without saying what it is for"


def plays_type_checking_tricks(text: str, tree: ast.Module) -> Iterator[Break]:
    for node in ast.walk(tree):
        is_name = isinstance(node, ast.Name) and node.id == "TYPE_CHECKING"
        is_attribute = isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING"
        if is_name or is_attribute or "typing.TYPE_CHECKING" in _imported(node):
            yield getattr(node, "lineno", 1), "uses TYPE_CHECKING"


def imports_in_function(text: str, tree: ast.Module) -> Iterator[Break]:
    found = {
        node.lineno
        for function in _functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    yield from ((line, "imports inside a function") for line in sorted(found))


def service_complaints(folder: Path) -> list[str]:
    """What stands at a service's top that should not, or is missing."""
    found = [entry.name for entry in sorted(folder.iterdir()) if not entry.name.startswith(("__pycache__", "."))]
    layers = [name.removesuffix(".py") for name in found if name not in {"__init__.py", "migrations"}]
    complaints = [f"{layer} is no layer of a service" for layer in layers if layer not in SERVICE_LAYERS | {"gateways"}]
    complaints += [f"{layer} is both a module and a folder" for layer in set(layers) if layers.count(layer) > 1]
    complaints += [f"{layer} is missing" for layer in sorted(SERVICE_LAYERS - set(layers))]
    complaints += [f"{name} is missing" for name in ("__init__.py", "migrations") if name not in found]
    return [f"{folder.name}: {complaint}" for complaint in complaints]


def declared_events(text: str) -> list[str]:
    """The types in `@event("…")` of a contract file, in its order."""
    return [
        str(decorator.args[0].value)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Name)
        and decorator.func.id == "event"
        and isinstance(decorator.args[0], ast.Constant)
    ]


def event_complaints(types_by_producer: dict[str, list[str]]) -> list[str]:
    """Types that are malformed, not their producer's own, or declared twice."""
    complaints = []
    seen: set[str] = set()
    for producer, types in types_by_producer.items():
        for event_type in types:
            if not EVENT_TYPE.fullmatch(event_type):
                complaints.append(f"{event_type} is not cn.jicai.<service>.<subject>.<action>.v<n>")
            elif event_type.split(".")[2] != producer:
                complaints.append(f"{event_type} is declared in {producer}")
            if event_type in seen:
                complaints.append(f"{event_type} is declared twice")
            seen.add(event_type)
    return complaints


def _functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Strings that stand alone: the documentation of a module, class, function or field."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value
