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

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from string import Formatter
from typing import Any, ClassVar, Self

from shared import clock
from shared.values import frozen

SHOWN_CHARACTERS = 200
"""How much of a given value an error repeats."""


class JsonText(str):
    """A given value that is JSON already, and shown as it is."""

    __slots__ = ()


def shown(value: Any) -> str:
    """A given value as text, short and printable."""
    text = str(value)
    text = "".join(character if character.isprintable() else "�" for character in text[: SHOWN_CHARACTERS + 1])
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def as_json(given: Any) -> str:
    """Any value as the JSON that it was, or would be, sent as; never a form that only Python knows."""
    return given if isinstance(given, JsonText) else json.dumps(given, ensure_ascii=False, default=str)


def number_of(count: int, thing: str) -> str:
    """1 line, 2 lines."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


class _Sentence(Formatter):
    """Fills a sentence; `{given!j}` is the value as JSON, short and printable, `{count:#line}` 1 line or 2 lines."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec.startswith("#"):
            return number_of(value, format_spec[1:])
        return str(super().format_field(value, format_spec))

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return shown(as_json(value)) if conversion == "j" else super().convert_field(value, conversion)


def filled(sentence: str, values: Mapping[str, Any]) -> str:
    """The sentence with its values; without values it stands as it is, braces too."""
    if not values:
        return sentence
    if "!j" in sentence or ":#" in sentence:
        return _Sentence().vformat(sentence, (), values)
    return sentence.format_map(values)  # the same at a tenth of the cost: a page of payables says hundreds


class Said(str):
    """English made of a sentence with {names} and their values, so that the edge can say it in the reader's language.

    To everybody else it is a plain text. An instant among the values is told by the minute, in Shanghai.
    """

    sentence: str
    values: Mapping[str, Any]

    def __new__(cls, sentence: str, **values: Any) -> Self:
        """Puts the values in their places."""
        for name, value in values.items():
            if isinstance(value, datetime):
                values[name] = Said("{at} (Shanghai)", at=clock.minute(value))
        made = super().__new__(cls, filled(sentence, values))
        made.sentence, made.values = sentence, values
        return made


def say(value: object, *names: str) -> None:
    """Makes the plain texts of a frozen value, just made, sentences that can be said in the reader's language."""
    for name in names:
        if not isinstance(text := getattr(value, name), Said):
            object.__setattr__(value, name, Said(text))


@frozen
class Fault:
    """One thing wrong in what was sent: where (JSON Pointer), what was given, the rule, what is allowed.

    `given` is shown as JSON; None: nothing was given.
    """

    pointer: str
    given: Any
    rule: str
    allowed: str
    code: str = "invalid"

    def __post_init__(self) -> None:
        say(self, "rule", "allowed")


def first_of(faults: Sequence[Fault]) -> Said:
    """The first of some faults in a sentence, for `detail`."""
    first = faults[0]
    values = {"pointer": first.pointer, "rule": first.rule, "allowed": first.allowed}
    if first.given is None:
        return Said("{pointer}: {rule}; allowed: {allowed}", **values)
    return Said("{pointer} is {given!j}: {rule}; allowed: {allowed}", given=first.given, **values)


class RuleBroken(ValueError):
    """What a field's own check finds wrong with its value: `code`, rule and what is allowed, in words for the sender."""

    def __init__(self, code: str, rule: str, allowed: str) -> None:
        super().__init__(f"{rule}; allowed: {allowed}")
        self.code, self.rule, self.allowed = code, rule, allowed


def snake_case(name: str) -> str:
    """OrderNotOpen → order_not_open."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class ServiceError(Exception):
    """A refusal with a status and a stable code; `detail` is a plain sentence for whoever reads it.

    Its values are given by name, `OrderNotFound("There is no order {order}.", order=…)`: see Said.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "service_error"
    title: ClassVar[str] = "The request was refused"

    def __init__(
        self,
        detail: str = "",
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> None:
        said = detail if isinstance(detail, Said) else Said(detail or self.title, **values)
        super().__init__(said)
        self.detail = said
        self.faults = tuple(faults)
        self.headers = dict(headers or {})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.code = snake_case(cls.__name__)
        if "title" not in cls.__dict__:
            cls.title = cls.code.replace("_", " ").capitalize()


class BadRequest(ServiceError):
    """Mend what `detail` names and send the request again; nothing was changed."""

    status = 400


class Unauthenticated(ServiceError):
    """Get a token from the issuer that this service trusts and send it as `Authorization: Bearer …`."""

    status = 401


class Forbidden(ServiceError):
    """Let a party act that may; `detail` names the role, the scope or the owner that is asked for."""

    status = 403


class NotFound(ServiceError):
    """Check the id or code, and whether it is yours: what belongs to others is answered like what is not there."""

    status = 404


class Conflict(ServiceError):
    """Read the thing again; do what its present state allows, or nothing when it already is as you want it."""

    status = 409


class Gone(ServiceError):
    """Stop asking for it; it does not come back."""

    status = 410


class PreconditionFailed(ServiceError):
    """Read the thing again, decide anew, and send the change with the new ETag as `If-Match`."""

    status = 412


class TooLarge(ServiceError):
    """Send less at a time; `detail` names the limit."""

    status = 413


class UnsupportedMedia(ServiceError):
    """Send the body as one of the content types that `detail` names."""

    status = 415


class Unprocessable(ServiceError):
    """Mend each place that `errors` names, as its `allowed` says, and send it again; nothing was changed."""

    status = 422


class PreconditionRequired(ServiceError):
    """Read the thing and send its ETag as `If-Match`."""

    status = 428


class TooMany(ServiceError):
    """Wait as long as `Retry-After` says, then send the same request again."""

    status = 429


class Unavailable(ServiceError):
    """Wait as long as `Retry-After` says and send the same request again, a write under the same Idempotency-Key."""

    status = 503
