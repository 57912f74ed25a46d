"""The titles of refusals in the reader's language, and for every code a page that says what to do, in both."""

import inspect

from shared.errors import ServiceError
from shared.tongue import CHINESE, chinese, language

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

PLACES = (
    "`detail` says more of the case at hand; `errors`, where it is not empty, names each place, with what was given and what is"
    " allowed: in the body by a JSON Pointer (`/lines/0/quantity`), else by `query/limit`, `path/order_id`, `header/if-match`, or"
    " the row of a sheet (`row 2`)."
)


def title(code: str, english: str) -> str:
    """The title of a code in the language of this request."""
    return chinese()["titles"].get(code, english) if language() == CHINESE else english


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
        lines += [f"{_who(one)}: {one.title}.", "", *_in_both("What to do: ", "处理办法:", _remedy(one))]
    if not classes:
        lines += [f"Every service: {heading}.", "", *_in_both("What to do: ", "处理办法:", WHAT_TO_DO[code])]
        return "\n".join(lines)
    return "\n".join([*lines, *_in_both("", "", PLACES)])


def _in_both(before: str, before_chinese: str, english: str) -> list[str]:
    """What the page says, in English and in Chinese."""
    return [before + english, "", before_chinese + chinese()["pages"][english], ""]


def _remedy(one: type[ServiceError]) -> str:
    """Its own docstring, else that of its kind of refusal: each says what to do."""
    return " ".join((inspect.getdoc(one) or "").split())


def _who(one: type[ServiceError]) -> str:
    parts = one.__module__.split(".")
    return parts[1] if parts[0] == "services" else "Every service"
