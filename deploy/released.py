"""What the other side relies on: the released schemas, and whether the present ones keep their word.

Within a version only two changes are allowed: an optional field more, and a format named where a text had none, for what is
sent was of that form before. Everything else is a new version, sent beside the old one for a while.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Schema = Mapping[str, Any]
WORDS_ONLY = ("title", "description", "examples", "$id", "$schema", "$defs")
"""What may be worded anew."""


def read(folder: Path) -> dict[str, Schema]:
    """The released schemas by event type."""
    return {
        file.name.removesuffix(".json"): json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("*.json"))
    }


def broken(released: Mapping[str, Schema], present: Mapping[str, Schema]) -> list[str]:
    """Every way in which the present schemas break the released ones, each naming the event and the field."""
    found: list[str] = []
    for event_type, was in released.items():
        now = present.get(event_type)
        if now is None:
            found.append(f"{event_type}: is no longer there")
        else:
            found.extend(_compare(event_type, was, now, (was.get("$defs", {}), now.get("$defs", {})), ()))
    return found


Definitions = tuple[Mapping[str, Schema], Mapping[str, Schema]]


def _compare(
    path: str, was: Schema, now: Schema, defs: Definitions, under: tuple[tuple[str, str], ...]
) -> Iterator[str]:
    was_name, now_name = _referred(was), _referred(now)
    if was_name and now_name:
        if (was_name, now_name) not in under:  # a type that holds itself is compared once
            yield from _compare(path, defs[0][was_name], defs[1][now_name], defs, (*under, (was_name, now_name)))
        return
    if was_name or now_name:
        yield f"{path}: was {_say(was)}, is {_say(now)}"
        return
    yield from _compare_fields(path, was, now, defs, under)
    for key in sorted((was.keys() | now.keys()) - {*WORDS_ONLY, "properties", "required"}):
        before, after = _parts(was.get(key)), _parts(now.get(key))
        if key == "format" and key not in was:
            continue
        if before is None or after is None or len(before) != len(after):
            if was.get(key) != now.get(key):
                yield f"{path}: {key} was {was.get(key)}, is {now.get(key)}"
            continue
        for one, other in zip(before, after, strict=True):
            yield from _compare(f"{path}[]" if key == "items" else path, one, other, defs, under)


def _parts(value: Any) -> Sequence[Schema] | None:
    """The schemas that stand under a key (items, anyOf), or None where there is a plain value."""
    if isinstance(value, dict):
        return [value]
    return value if isinstance(value, list) and all(isinstance(one, dict) for one in value) else None


def _compare_fields(
    path: str, was: Schema, now: Schema, defs: Definitions, under: tuple[tuple[str, str], ...]
) -> Iterator[str]:
    before, after = was.get("properties", {}), now.get("properties", {})
    needed_before, needed_after = set(was.get("required", ())), set(now.get("required", ()))
    for name in sorted(before.keys() - after.keys()):
        yield f"{path}.{name}: is gone"
    for name in sorted(after.keys() - before.keys()):
        if name in needed_after:
            yield f"{path}.{name}: is new and required; a new field must be optional"
    for name in before:
        if name not in after:
            continue
        if (name in needed_before) != (name in needed_after):
            yield f"{path}.{name}: was {_need(name, needed_before)}, is {_need(name, needed_after)}"
        yield from _compare(f"{path}.{name}", before[name], after[name], defs, under)


def _referred(schema: Schema) -> str | None:
    reference: str | None = schema.get("$ref")
    return reference.rsplit("/", 1)[-1] if reference else None


def _need(name: str, required: set[str]) -> str:
    return "required" if name in required else "optional"


def _say(schema: Schema) -> str:
    return json.dumps({key: value for key, value in schema.items() if key not in WORDS_ONLY}, ensure_ascii=False)
