"""What stands in the address of a request, path and query: refused by name when nobody reads it, or no column could hold it."""

import difflib
from collections.abc import Sequence

from fastapi import Request
from fastapi.dependencies.models import Dependant

from shared.codes import is_clean_text
from shared.errors import BadRequest, Fault, Said, Unprocessable
from shared.http.schemas import UNCLEAN


class UnknownParameter(BadRequest):
    title = "A query parameter is not read here"


class ValueNotStorable(Unprocessable):
    """Send a value of ordinary size without control characters; where the place is known, `errors` names it."""

    title = "A value cannot be stored or compared here"


def parameters_of(dependant: Dependant) -> set[str]:
    """The names of the query parameters that a route and what it depends on read."""
    nested = (parameters_of(inner) for inner in dependant.dependencies)
    return {parameter.alias for parameter in dependant.query_params}.union(*nested)


def check_known(request: Request, parameters: Sequence[str]) -> None:
    """Refuses a query parameter that nobody reads, by name: a filter that is misspelt must not widen the answer."""
    if not request.scope["query_string"]:
        return
    given = request.query_params.multi_items()
    faults = [
        Fault(
            pointer=f"query/{name}",
            given=value,
            rule=_unread(name, parameters),
            allowed=", ".join(parameters) or "no parameters",
            code="unknown_parameter",
        )
        for name, value in request.query_params.items()
        if name not in parameters
    ]
    if len(request.query_params) < len(given):
        faults += _repeated([name for name, _ in given if name in parameters])
    if faults:
        raise UnknownParameter("{pointer}: {rule}.", faults=faults, pointer=faults[0].pointer, rule=faults[0].rule)


def _repeated(names: Sequence[str]) -> list[Fault]:
    """No parameter here is a list: of two values one would be dropped in silence."""
    return [
        Fault(f"query/{name}", None, Said("the parameter stands more than once"), "once", "repeated_parameter")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]


def _unread(name: str, parameters: Sequence[str]) -> Said:
    near = difflib.get_close_matches(name, parameters, 1)
    if not near:
        return Said("no parameter of this name is read here")
    return Said("no parameter of this name is read here (did you mean {near}?)", near=near[0])


def check_storable(request: Request) -> None:
    """Refuses text in the address that no column could hold: NUL, other control characters, lone surrogates."""
    given = [("path", name, str(value)) for name, value in request.path_params.items()]
    if request.scope["query_string"]:
        given += [("query", name, value) for name, value in request.query_params.multi_items()]
    faults = [
        Fault(f"{where}/{name}", value, *UNCLEAN, "unclean")
        for where, name, value in given
        if not is_clean_text(value, len(value))
    ]
    if faults:
        raise ValueNotStorable("{pointer}: {rule}.", faults=faults, pointer=faults[0].pointer, rule=faults[0].rule)
