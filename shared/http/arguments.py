"""Reads what an endpoint asks for out of a request: path, query, headers, body, and what it depends on, with all faults at once.

FastAPI declares the arguments and their checks, and would read them too; `docs/decisions/request-path.md` tells what it costs
that it looks at each of them anew in each request, for lists, forms, cookies and scopes that no endpoint here has.
"""

from collections.abc import Iterable, Mapping
from inspect import iscoroutinefunction
from typing import Any

from fastapi import Request
from fastapi._compat import ModelField, get_missing_field_error
from fastapi.dependencies.models import Dependant
from pydantic_core import PydanticUndefined
from starlette.responses import Response

NOT_READ = (
    "cookie_params",
    "http_connection_param_name",
    "websocket_param_name",
    "background_tasks_param_name",
    "security_scopes_param_name",
)
"""What FastAPI could hand to an endpoint and no endpoint here asks for."""

Faults = list[dict[str, Any]]


class Arguments:
    """The arguments of one function; `in_hand`: dependencies, as attributes of `request.state`. Raises TypeError for others."""

    def __init__(self, dependant: Dependant, in_hand: Mapping[Any, str]) -> None:
        if unread := [what for what in NOT_READ if getattr(dependant, what)]:
            raise TypeError(f"{dependant.call} asks for {', '.join(unread)}, which is read nowhere here")
        self._call: Any = dependant.call
        self._named = dependant.name
        self._in_hand = {
            one.name: in_hand[one.call] for one in dependant.dependencies if one.name and one.call in in_hand
        }
        self._nested = [Arguments(one, in_hand) for one in dependant.dependencies if one.call not in in_hand]
        if waits_for_nobody := [one._call for one in self._nested if not iscoroutinefunction(one._call)]:
            raise TypeError(f"{dependant.call} depends on {waits_for_nobody}: make it a coroutine")
        self._path = [_Parameter("path", field) for field in dependant.path_params]
        self._query = [_Parameter("query", field) for field in dependant.query_params]
        self._headers = [_Parameter("header", field) for field in dependant.header_params]
        self._body = [_Parameter("body", field) for field in dependant.body_params]
        self._request, self._response = dependant.request_param_name, dependant.response_param_name

        self.tells: bool = bool(self._response) or any(one.tells for one in self._nested)
        """Whether a response is asked for, to tell headers or a status with."""

    async def read(self, request: Request, body: Any, response: Response | None) -> tuple[dict[str, Any], Faults]:
        """The values by name, and the faults; with faults the values are not all there. `body`: PydanticUndefined for none."""
        values: dict[str, Any] = {}
        faults: Faults = []
        for one in self._nested:
            its_values, its_faults = await one.read(request, body, response)
            faults += its_faults
            if not its_faults:
                made = await one._call(**its_values)
                if one._named:
                    values[one._named] = made
        _take(self._path, request.path_params, values, faults)
        if self._query:
            _take(self._query, request.query_params, values, faults)
        if self._headers:
            _take(self._headers, request.headers, values, faults)
        for parameter in self._body:
            parameter.take(body, values, faults)
        for name, attribute in self._in_hand.items():
            values[name] = getattr(request.state, attribute)
        if self._request:
            values[self._request] = request
        if self._response:
            values[self._response] = response
        return values, faults


def _take(parameters: Iterable["_Parameter"], given: Mapping[str, Any], values: dict[str, Any], faults: Faults) -> None:
    for parameter in parameters:
        parameter.take(given.get(parameter.alias, PydanticUndefined), values, faults)


class _Parameter:
    """One parameter of a function: where it stands, and its check."""

    def __init__(self, where: str, field: ModelField) -> None:
        self.alias = field.alias
        self._name = field.name
        self._loc = (where,) if where == "body" else (where, field.alias)
        self._check = field.validate
        self._required = field.field_info.is_required()
        self._default = field.default

    def take(self, given: Any, values: dict[str, Any], faults: Faults) -> None:
        """Puts the checked value in, or its faults."""
        if given is not PydanticUndefined:
            values[self._name], wrong = self._check(given, loc=self._loc)
            faults += wrong
        elif self._required:
            faults.append(get_missing_field_error(loc=self._loc))
        else:
            values[self._name] = self._default
