"""The words of a refusal in the reader's language: English unless Chinese is preferred; ids and amounts are never changed."""

import tomllib
from collections.abc import Mapping
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
    "body_too_slow": "Send the body again over a faster connection, or in parts; `detail` names the time it may take.",
    "internal": "Send it again later, a write under the same Idempotency-Key; tell operations the request id.",
    "no_such_path": "Take the path from /openapi.json; `detail` names one that is written alike.",
    "method_not_allowed": "Take a method that the header `Allow` names.",
}
"""Of these, and of the codes whose kind of refusal has no words of its own."""


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
        own = "" if ServiceError in one.__bases__ else " ".join((one.__doc__ or "").split())
        lines += [f"{_who(one)}: {one.title}. {own}".rstrip(), "", f"What to do: {_remedy(one)}", ""]
    if not classes:
        lines += [f"Every service: {heading}.", "", f"What to do: {WHAT_TO_DO[code]}", ""]
    lines += ["`detail` says what was given and what is allowed; `errors` names each place by a JSON Pointer.", ""]
    return "\n".join(lines)


def _remedy(one: type[ServiceError]) -> str:
    """What is said of it alone, else the docstring of its kind of refusal: the class right below ServiceError."""
    kind = one.__mro__[one.__mro__.index(ServiceError) - 1]
    return WHAT_TO_DO.get(one.code) or " ".join((kind.__doc__ or "").split())


def _who(one: type[ServiceError]) -> str:
    parts = one.__module__.split(".")
    return parts[1] if parts[0] == "services" else "Every service"
