"""The words of a refusal in the reader's language: English unless Chinese is preferred; ids and amounts are never changed."""

import inspect
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from shared.errors import Said, ServiceError, filled

ENGLISH, CHINESE = "en", "zh"

language: ContextVar[str] = ContextVar("language", default=ENGLISH)
"""What the present request is answered in; set at the door."""

BY_THE_EDGE = {
    "internal": (500, "Something went wrong here"),
    "no_such_path": (404, "No such path"),
    "method_not_allowed": (405, "Method not allowed"),
}
"""The codes that no class of the error tree carries: status and title."""
WHAT_TO_DO = {
    "internal": "Send it again later, a write under the same Idempotency-Key; tell operations the request id.",
    "no_such_path": "Take the path from the contract that `detail` names; it may name a path that is written alike, too.",
    "method_not_allowed": "Take a method that the header `Allow` names.",
}
"""Of these; the classes of the error tree say it in their docstrings."""

PLACES = "`errors`, where it is not empty, names each place by a JSON Pointer, with what was given and what is allowed."


@cache
def chinese() -> Mapping[str, Mapping[str, str]]:
    """The Chinese words: titles by code, sentences by the English one with its {names}."""
    return tomllib.loads((Path(__file__).parent / "zh.toml").read_text(encoding="utf-8"))


def preferred(accept_language: str | None) -> str:
    """The language of an Accept-Language header that we have and that weighs most (RFC 9110 §12.5.4)."""
    best, weight = ENGLISH, 0.0
    for part in (accept_language or "").split(",")[:20]:
        name, _, quality = part.strip().partition(";")
        stem = name.strip().lower().partition("-")[0]
        if stem in (ENGLISH, CHINESE) and _quality(quality) > weight:
            best, weight = stem, _quality(quality)
    return best


def _quality(text: str) -> float:
    try:
        return float(text.strip().removeprefix("q=")) if text.strip() else 1.0
    except ValueError:
        return 0.0


@contextmanager
def speaking(tongue: str) -> Iterator[None]:
    """What is said in the block is said in this language: for work that goes on after its request."""
    before = language.set(tongue)
    try:
        yield
    finally:
        language.reset(before)


def title(code: str, english: str) -> str:
    """The title of a code in the language of this request."""
    return chinese()["titles"].get(code, english) if language.get() == CHINESE else english


def spoken(text: str) -> str:
    """A sentence in the language of this request, where zh.toml has it; its values stay as they are."""
    if language.get() != CHINESE or not isinstance(text, Said):
        return str(text)
    found = chinese()["sentences"].get(text.sentence)
    if found is None:
        return str(text)
    values = {name: spoken(value) if isinstance(value, Said) else value for name, value in text.values.items()}
    return filled(found, values)


def error_classes() -> dict[str, list[type[ServiceError]]]:
    """Every refusal that this process knows, by its code; the roots of the tree are codes too."""
    found: dict[str, list[type[ServiceError]]] = {}
    waiting = list(ServiceError.__subclasses__())
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if one not in found.setdefault(one.code, []):
            found[one.code].append(one)
    return {code: sorted(found[code], key=lambda one: one.__module__) for code in sorted(found)}


def codes() -> list[str]:
    """Every code that an answer of this process can carry."""
    return sorted({*error_classes(), *BY_THE_EDGE})


def page(code: str) -> str | None:
    """What a code means, as Markdown; None for a code that nobody here uses."""
    classes = error_classes().get(code, [])
    if not classes and code not in BY_THE_EDGE:
        return None
    status, heading = (classes[0].status, classes[0].title) if classes else BY_THE_EDGE[code]
    lines = [f"# {code}", "", f"HTTP {status}", "", f"* {heading}", f"* {chinese()['titles'].get(code, heading)}", ""]
    for one in classes:
        lines += [f"{_who(one)}: {one.title}.", "", f"What to do: {_remedy(one)}", ""]
    if not classes:
        return "\n".join([*lines, f"Every service: {heading}.", "", f"What to do: {WHAT_TO_DO[code]}", ""])
    lines += [f"`detail` says more of the case at hand; {PLACES}", ""]
    return "\n".join(lines)


def _remedy(one: type[ServiceError]) -> str:
    """Its own docstring, else that of its kind of refusal: each says what to do."""
    return " ".join((inspect.getdoc(one) or "").split())


def _who(one: type[ServiceError]) -> str:
    parts = one.__module__.split(".")
    return parts[1] if parts[0] == "services" else "Every service"
