"""What a service may refuse, and how: one tree of errors that the edge turns into problem+json.

    ServiceError
    ├── BadRequest 400           the request cannot be read
    ├── Unauthenticated 401      no caller, or a token that proves nothing
    ├── Forbidden 403            a caller whose role may not do this
    ├── NotFound 404             no such thing, or not this caller's
    ├── Conflict 409             the state of the thing does not allow it
    ├── Gone 410                 it was here and is withdrawn
    ├── PreconditionFailed 412   somebody changed it first
    ├── TooLarge 413             over a named limit
    ├── UnsupportedMedia 415     a content type that is not read here
    ├── Unprocessable 422        read, understood, and against a rule
    ├── PreconditionRequired 428 If-Match or Idempotency-Key is missing
    ├── TooMany 429              over a rate
    └── Unavailable 503          try again: the database or the bus is away

An error is expected behaviour and says, with the numbers in it, what was given and what is allowed. Anything else
that is raised is a programmer's mistake and answers 500.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in what was sent: where (JSON Pointer), what was given, the rule, what is allowed."""

    pointer: str
    given: Any
    rule: str
    allowed: str
    code: str = "invalid"


def snake_case(name: str) -> str:
    """OrderNotOpen → order_not_open."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class ServiceError(Exception):
    """A refusal with a status and a stable code; `detail` is a plain sentence for whoever reads it."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "service_error"
    title: ClassVar[str] = "The request was refused"

    def __init__(
        self,
        detail: str = "",
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **numbers: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        self.numbers = numbers

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.code = snake_case(cls.__name__)
        if "title" not in cls.__dict__:
            cls.title = cls.code.replace("_", " ").capitalize()


class BadRequest(ServiceError):
    status = 400


class Unauthenticated(ServiceError):
    status = 401


class Forbidden(ServiceError):
    status = 403


class NotFound(ServiceError):
    status = 404


class Conflict(ServiceError):
    status = 409


class Gone(ServiceError):
    status = 410


class PreconditionFailed(ServiceError):
    status = 412


class TooLarge(ServiceError):
    status = 413


class UnsupportedMedia(ServiceError):
    status = 415


class Unprocessable(ServiceError):
    status = 422


class PreconditionRequired(ServiceError):
    status = 428


class TooMany(ServiceError):
    status = 429


class Unavailable(ServiceError):
    status = 503
