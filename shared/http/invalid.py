"""What is wrong with the form of a request, in our own words: one fault per wrong value, none of pydantic's sentences leaves.

RULES holds the words by the type of pydantic's error; a test holds it complete. A check of a field of ours raises
RuleBroken and brings its own.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Self

from shared.errors import Fault, JsonText, RuleBroken, Said, Unprocessable, as_json

_TEXT = ("this must be text", 'text, in JSON between quotes: "…"')
_WHOLE = ("this must be a whole number", "a whole number without quotes and without a fraction, such as 12")
_NUMBER = ("this must be a number", "a number without quotes, such as 12.5")
_DECIMAL = ("this must be a decimal number", 'a decimal number in quotes, such as "12.34"')
_TRUTH = ("this must be true or false", "true, false")
_LIST = ("this must be a list", "a JSON list: […]")
_OBJECT = ("this must be an object", "a JSON object, in braces")
_ONE_OF = ("the value is not one of those known here", "{expected}")
_ID = ("this must be an id", "a UUID, such as 01968b1e-0000-7000-8000-000000000001")
_DAY = ("this must be a day that the calendar has", "a day, such as 2026-03-31")
_INSTANT = ("this must be an instant", "day, time and offset from UTC, such as 2026-03-31T08:00:00+08:00")

RULES: Mapping[str, tuple[str, str]] = {
    "missing": ("the field is missing", "a value; the field is required"),
    "extra_forbidden": ("no field of this name is read here", "leave it out"),
    "string_type": _TEXT,
    "string_unicode": ("the text is not Unicode", "text in UTF-8"),
    "string_too_short": ("the text is too short", "characters: {min_length} or more"),
    "string_too_long": ("the text is too long", "characters: {max_length} or fewer"),
    "string_pattern_mismatch": ("the text does not have the expected form", "text that matches {pattern}"),
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": ("the number is too large to be read", "a whole number of up to 4300 digits"),
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": ("the number must be finite", "a number other than NaN and Infinity"),
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "decimal_type": _DECIMAL,
    "decimal_parsing": _DECIMAL,
    "decimal_max_digits": ("the number has too many digits", "digits: {max_digits} or fewer"),
    "decimal_max_places": ("the number has too many decimal places", "decimal places: {decimal_places} or fewer"),
    "decimal_whole_digits": ("the number is too large", "digits before the point: {whole_digits} or fewer"),
    "greater_than": ("the value is too small", "greater than {gt}"),
    "greater_than_equal": ("the value is too small", "{ge} or greater"),
    "less_than": ("the value is too large", "less than {lt}"),
    "less_than_equal": ("the value is too large", "{le} or less"),
    "list_type": _LIST,
    "too_short": ("the list has too few items", "items: {min_length} or more"),
    "too_long": ("the list has too many items", "items: {max_length} or fewer"),
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "enum": _ONE_OF,
    "literal_error": _ONE_OF,
    "uuid_type": _ID,
    "uuid_parsing": _ID,
    "date_type": _DAY,
    "date_parsing": _DAY,
    "date_from_datetime_parsing": _DAY,
    "date_from_datetime_inexact": _DAY,
    "datetime_type": _INSTANT,
    "datetime_parsing": _INSTANT,
    "datetime_from_date_parsing": _INSTANT,
    "datetime_object_invalid": _INSTANT,
    "timezone_aware": ("the instant says no offset from UTC", _INSTANT[1]),
}
_EARLIER_LATER = {
    "greater_than": ("the day is too early", "after {gt}"),
    "greater_than_equal": ("the day is too early", "{ge} or later"),
    "less_than": ("the day is too late", "before {lt}"),
    "less_than_equal": ("the day is too late", "{le} or earlier"),
}
_LENGTHS = {"too_short": "string_too_short", "too_long": "string_too_long"}
"""What is found behind a check of our own is called the same for a text as for a list."""
FORMS = {
    r"^[0-9]{6}$": "6 digits, such as 330100",
    r"^https://[^\s/?#]+\.[^\s]*$": "an https address, such as https://example.org/1",
    r"^20[0-9]{2}H[12]$": "a half year, such as 2026H1",
    r"^[a-z0-9_]{1,40}$": "1 to 40 characters of a to z, 0 to 9 and _",
}
"""What a pattern means."""
_QUOTED = re.compile(r"'([^']*)'")


class InvalidRequest(Unprocessable):
    title = "The request does not have the expected form"

    @classmethod
    def of(cls, errors: Sequence[Mapping[str, Any]]) -> Self:
        """The refusal of what pydantic found wrong."""
        return cls.with_faults([fault_of(found) for found in errors])

    @classmethod
    def with_faults(cls, faults: Sequence[Fault]) -> Self:
        """The refusal of these faults."""
        if len(faults) == 1:
            return cls("1 fault in the request; nothing was changed.", faults=faults)
        return cls("{count} faults in the request; nothing was changed.", faults=faults, count=len(faults))


def check_period(first: tuple[str, Any], last: tuple[str, Any]) -> None:
    """Raises InvalidRequest where a list is asked from a parameter's day or instant to one before it: it would be empty."""
    (begin, since), (end, until) = first, last
    if since is not None and until is not None and until < since:
        allowed = Said("{first} or later", first=since)
        rule = Said("this is before {begin}", begin=begin)
        raise InvalidRequest.with_faults([Fault(f"query/{end}", until.isoformat(), rule, allowed, "period_backwards")])


def pointer(location: Sequence[Any]) -> str:
    """A JSON Pointer (RFC 6901) of a place in the body; other parts of a request are named as `query/limit`."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in location]
    if parts and parts[0] == "body":
        return "/" + "/".join(parts[1:]) if len(parts) > 1 else ""
    return "/".join(parts)


def fault_of(found: Mapping[str, Any]) -> Fault:
    """One error of pydantic, in our words."""
    kind, context, given = found["type"], found.get("ctx") or {}, found.get("input")
    if isinstance(error := context.get("error"), RuleBroken):
        sent = None if error.code == "missing" else JsonText(as_json(given))
        return Fault(pointer(found["loc"]), sent, error.rule, error.allowed, error.code)
    if kind in _LENGTHS and isinstance(given, str):
        kind = _LENGTHS[kind]
    rule, allowed = _words(kind, context) or (found["msg"], "what the OpenAPI of this service shows for this place")
    if kind == "string_pattern_mismatch":
        allowed = FORMS.get(context["pattern"], allowed)
    values = {name: _listed(value) if name == "expected" else value for name, value in context.items()}
    return Fault(
        pointer(found["loc"]),
        None if kind == "missing" else _as_sent(found["loc"], given),
        Said(rule),
        Said(allowed, **values),
        kind,
    )


def _words(kind: str, context: Mapping[str, Any]) -> tuple[str, str] | None:
    if any(isinstance(limit, date) for limit in context.values()):
        return _EARLIER_LATER.get(kind)
    return RULES.get(kind)


def _listed(expected: str) -> str:
    return ", ".join(_QUOTED.findall(str(expected))) or str(expected)


def _as_sent(location: Sequence[Any], given: Any) -> str:
    """In the body JSON, in the address the text itself."""
    return JsonText(as_json(given)) if location[:1] == ("body",) else str(given)
