"""What clients rely on: whether an OpenAPI document still keeps the word that a released one gave.

What was accepted must be accepted still, what was promised must come still: a present request schema may only be wider, a
present answer only narrower. New operations, new optional fields and parameters, new fields, headers and words of a list in
answers are allowed, and what is only worded anew; bounds of lengths and numbers count for requests alone.

A refusal is no promise to an operation: one that does not come any more, or was listed where it never came, breaks nobody.
But clients tell refusals apart by their codes, so a code that was known may not go from the whole document.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.values import frozen

Document = Mapping[str, Any]
Schema = Mapping[str, Any]

REFUSAL = re.compile("[45]..")
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
WORDS_ONLY = {"title", "description", "examples", "example", "deprecated", "discriminator", "contentMediaType"}
AT_MOST = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
AT_LEAST = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
KNOWN = (
    WORDS_ONLY
    | {*AT_MOST, *AT_LEAST}
    | set(
        "type enum const format pattern items properties required additionalProperties default uniqueItems".split()  # noqa: SIM905
    )
)


def broken(was: Document, now: Document) -> list[str]:
    """Every broken promise, each naming the operation and the place."""
    gone = [f"{code}: no operation is refused with this code any more" for code in sorted(_codes(was) - _codes(now))]
    return gone + [breach for path, methods in was["paths"].items() for breach in _path(path, methods, was, now)]


def _codes(document: Document) -> set[str]:
    """The codes of refusals, as the names of the components say them: `404.order_not_found`."""
    return {code for name in document.get("components", {}).get("responses", {}) for code in name.split(".")[1:]}


def _path(path: str, methods: Mapping[str, Any], was: Document, now: Document) -> Iterator[str]:
    present = now["paths"].get(path)
    if present is None:
        yield f"{path}: is gone"
        return
    for method in METHODS:
        if method in methods and method not in present:
            yield f"{method.upper()} {path}: is gone"
        elif method in methods:
            yield from _operation(f"{method.upper()} {path}", methods[method], present[method], was, now)


def _operation(where: str, before: Schema, after: Schema, was: Document, now: Document) -> Iterator[str]:
    if before.get("operationId") != after.get("operationId"):
        yield f"{where}: operationId was {before.get('operationId')}, is {after.get('operationId')}"
    asked, answered = _Comparison(was, now, answers=False), _Comparison(now, was, answers=True)
    yield from _parameters(where, before, after, asked)
    body, present = before.get("requestBody", {}), after.get("requestBody", {})
    if present.get("required", False) and not body.get("required", False):
        yield f"{where} body: is required now"
    yield from _contents(f"{where} body", body, present, asked)
    if after.get("security") and before.get("security") == []:
        yield f"{where}: needs a token now"
    for status, response in before.get("responses", {}).items():
        if status in after.get("responses", {}):
            one, other = _named(response, was), _named(after["responses"][status], now)
            yield from _headers(f"{where} {status}", one, other, was, now)
            yield from _contents(f"{where} {status}", one, other, answered)
        elif not REFUSAL.fullmatch(status):
            yield f"{where} {status}: is gone"


def _named(part: Schema, document: Document) -> Schema:
    """What stands there, or what is referred to."""
    if "$ref" not in part:
        return part
    kind, name = part["$ref"].split("/")[-2:]
    named: Schema = document["components"][kind][name]
    return named


def _headers(where: str, before: Schema, after: Schema, was: Document, now: Document) -> Iterator[str]:
    present = after.get("headers", {})
    for name, header in before.get("headers", {}).items():
        if name not in present:
            yield f"{where} {name}: is gone"
        elif _named(header, was).get("required") and not _named(present[name], now).get("required"):
            yield f"{where} {name}: is no longer always there"


def _parameters(where: str, before: Schema, after: Schema, asked: "_Comparison") -> Iterator[str]:
    known = {(one["in"], one["name"].lower()): one for one in before.get("parameters", ())}
    present = {(one["in"], one["name"].lower()): one for one in after.get("parameters", ())}
    for place, parameter in known.items():
        name = f"{where} {'/'.join(place)}"
        if place not in present:
            yield f"{name}: is gone"
            continue
        if present[place].get("required", False) and not parameter.get("required", False):
            yield f"{name}: is required now"
        yield from asked.unfit(name, parameter.get("schema", {}), present[place].get("schema", {}))
    for place in present.keys() - known.keys():
        if present[place].get("required", False):
            yield f"{where} {'/'.join(place)}: is new and required"


def _contents(where: str, before: Schema, after: Schema, comparison: "_Comparison") -> Iterator[str]:
    present = after.get("content", {})
    for kind, content in before.get("content", {}).items():
        if kind not in present:
            yield f"{where}: {kind} is gone"
            continue
        one, other = content.get("schema", {}), present[kind].get("schema", {})
        small, large = (other, one) if comparison.answers else (one, other)
        yield from comparison.unfit(where, small, large)


@frozen
class _Comparison:
    """Why a value of a schema in `small_document` might be none of its counterpart in `large_document`."""

    small_document: Document
    large_document: Document
    answers: bool

    def unfit(
        self, where: str, small: Schema, large: Schema, under: frozenset[tuple[str, str]] = frozenset()
    ) -> list[str]:
        """The reasons; a type that holds itself is compared once."""
        if "$ref" in small and "$ref" in large:
            pair = (small["$ref"], large["$ref"])
            if pair in under:
                return []
            under |= {pair}
        ours = _alternatives(small, self.small_document)
        theirs = _alternatives(large, self.large_document)
        if len(ours) == len(theirs) == 1:
            return list(self._plain(where, ours[0], theirs[0], under))
        found: list[str] = []
        for one in ours:
            tries = [list(self._plain(where, one, other, under)) for other in theirs]
            if all(tries):
                found.append(
                    f"{where}: {one.get('type', 'anything')} is no longer among {_say(theirs)}; {min(tries, key=len)[0]}"
                )
        return found

    def _plain(self, where: str, small: Schema, large: Schema, under: frozenset[tuple[str, str]]) -> Iterator[str]:
        kind, other = small.get("type"), large.get("type")
        if other is not None and kind != other and (kind, other) != ("integer", "number"):
            yield f"{where}: {self._was_is(kind, other, 'type')}"
            return
        yield from self._words(where, small, large)
        if not self.answers:
            yield from _bounds(where, small, large)
        yield from self._fields(where, small, large, under)
        for key in ("items", "additionalProperties"):
            inner = large.get(key)
            if isinstance(inner, Mapping):
                yield from self.unfit(f"{where}[]" if key == "items" else f"{where}.*", _part(small, key), inner, under)
        for key in sorted((small.keys() | large.keys()) - KNOWN):
            if small.get(key) != large.get(key):
                yield f"{where}: {self._was_is(small.get(key), large.get(key), key)}"

    def _words(self, where: str, small: Schema, large: Schema) -> Iterator[str]:
        """Closed lists and formats."""
        ours, theirs = _listed(small), _listed(large)
        if theirs is not None and ours is None:
            yield f"{where}: {self._was_is('any', theirs, 'enum')}"
        elif theirs is not None and not self.answers:
            for word in (one for one in ours or () if one not in theirs):
                yield f"{where}: {word!r} is no longer taken"
        if "format" in large and small.get("format") != large["format"]:
            yield f"{where}: {self._was_is(small.get('format'), large['format'], 'format')}"

    def _fields(self, where: str, small: Schema, large: Schema, under: frozenset[tuple[str, str]]) -> Iterator[str]:
        ours, theirs = small.get("properties", {}), large.get("properties", {})
        gone = theirs.keys() - ours.keys() if self.answers else ours.keys() - theirs.keys()
        for name in sorted(gone):
            yield f"{where}.{name}: is gone"
        for name in sorted(set(large.get("required", ())) - set(small.get("required", ())) - gone):
            yield f"{where}.{name}: is {'no longer always there' if self.answers else 'required now'}"
        for name in sorted(ours.keys() & theirs.keys()):
            yield from self.unfit(f"{where}.{name}", ours[name], theirs[name], under)
        if large.get("additionalProperties") is False and small.get("additionalProperties", True) is not False:
            yield f"{where}: other fields are {'new' if self.answers else 'refused now'}"

    def _was_is(self, small: object, large: object, what: str) -> str:
        was, now = (large, small) if self.answers else (small, large)
        return f"{what} was {was}, is {now}"


def _bounds(where: str, small: Schema, large: Schema) -> Iterator[str]:
    for key in AT_MOST:
        if key in large and small.get(key, float("inf")) > large[key]:
            yield f"{where}: {key} was {small.get(key, 'none')}, is {large[key]}"
    for key in AT_LEAST:
        if key in large and small.get(key, float("-inf")) < large[key]:
            yield f"{where}: {key} was {small.get(key, 'none')}, is {large[key]}"
    for key in ("pattern", "uniqueItems"):
        if large.get(key) and small.get(key) != large[key]:
            yield f"{where}: {key} was {small.get(key, 'none')}, is {large[key]}"
    if "default" in small and small["default"] != large.get("default"):
        yield f"{where}: default was {small['default']!r}, is {large.get('default', 'none')!r}"


def _alternatives(schema: Schema, document: Document) -> list[Schema]:
    """A schema as the plain ones of which a value must fit one; what is said beside the alternatives holds for each."""
    if "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _alternatives(_both(_named(schema, document), beside), document)
    if "allOf" in schema:
        whole: Schema = {name: value for name, value in schema.items() if name != "allOf"}
        for one in schema["allOf"]:
            (plain,) = _alternatives(one, document)  # of alternatives none of ours is made of several
            whole = _both(whole, plain)
        return _alternatives(whole, document)
    for key in ("anyOf", "oneOf"):
        inner: Sequence[Schema] = schema.get(key, ())
        if inner:
            beside = {name: value for name, value in schema.items() if name != key}
            return [_both(beside, plain) for one in inner for plain in _alternatives(one, document)]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    return [schema]


def _both(one: Schema, other: Schema) -> dict[str, Any]:
    """A schema that asks for what two ask for."""
    both = {**one, **other}
    for key in one.keys() & other.keys():
        if isinstance(one[key], Mapping) and isinstance(other[key], Mapping):
            both[key] = _both(one[key], other[key])
        elif key == "required":
            both[key] = [*one[key], *other[key]]
    return both


def _part(schema: Schema, key: str) -> Schema:
    part = schema.get(key)
    return part if isinstance(part, Mapping) else {}


def _listed(schema: Schema) -> Sequence[object] | None:
    if "const" in schema:
        return [schema["const"]]
    listed: Sequence[object] | None = schema.get("enum")
    return listed


def _say(schemas: Sequence[Schema]) -> str:
    return ", ".join(str(one.get("type", "anything")) for one in schemas)
