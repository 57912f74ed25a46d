"""The contract of the events as files: a JSON Schema and an example per event and one AsyncAPI page, made from the classes.

Beside them, in `released/`, stand the schemas that others rely on already; they change only when a version is released.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from deploy import examples, released
from deploy.embedded import CannotStart
from deploy.services import NAMES
from shared.envelope import CONTENT_TYPE, Envelope
from shared.events import EVENTS, topic_of
from shared.migrations import ROOT

FOLDER = ROOT / "docs" / "events"
ASYNCAPI = "asyncapi.yaml"
EXAMPLES, RELEASED = "examples", "released"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class ContractBroken(CannotStart):
    """A change that the others would not survive; it needs a new version of the event."""


def files() -> dict[str, str]:
    """Every file of the contract by its name."""
    made = {f"{event_type}.json": _pretty(_schema(event_type)) for event_type in sorted(EVENTS)}
    shown = {f"{EXAMPLES}/{event_type}.json": _pretty(_example(event_type)) for event_type in sorted(EVENTS)}
    return made | shown | {ASYNCAPI: "".join(_yaml(_asyncapi())).lstrip("\n") + "\n"}


def schemas() -> dict[str, dict[str, Any]]:
    """The present schema of each event, as it is written."""
    return {event_type: json.loads(_pretty(_schema(event_type))) for event_type in sorted(EVENTS)}


def release(folder: Path = FOLDER) -> list[str]:
    """From now on others rely on the present schemas; raises ContractBroken when they break the released ones."""
    known = released.read(folder / RELEASED)
    if breaks := released.broken(known, schemas()):
        raise ContractBroken("; ".join(breaks))
    (folder / RELEASED).mkdir(parents=True, exist_ok=True)
    fresh = {name: schema for name, schema in schemas().items() if known.get(name) != schema}
    for name, schema in fresh.items():
        (folder / RELEASED / f"{name}.json").write_text(_pretty(schema), encoding="utf-8")
    return sorted(fresh)


def stale(folder: Path = FOLDER) -> list[str]:
    """Which files are missing, differ or are too many."""
    wanted = files()
    known = {
        file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8")
        for file in folder.rglob("*")
        if file.is_file() and file.parent.name != RELEASED
    }
    return sorted(name for name in wanted.keys() | known.keys() if wanted.get(name) != known.get(name))


def write(folder: Path = FOLDER) -> list[str]:
    """Brings the folder up to date; returns what changed."""
    changed, wanted = stale(folder), files()
    for name in changed:
        if name in wanted:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return changed


def _schema(event_type: str) -> dict[str, Any]:
    return {"$schema": DIALECT, "$id": event_type, **msgspec.json.schema(EVENTS[event_type])}


def _example(event_type: str) -> Any:
    return json.loads(examples.example(EVENTS[event_type]))


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _first_line(contract: type) -> str:
    return (contract.__doc__ or "").strip().partition("\n")[0]


def _asyncapi() -> dict[str, Any]:
    by_topic = {topic: [contract for contract in EVENTS.values() if topic_of(contract) == topic] for topic in NAMES}
    types = [Envelope, *EVENTS.values()]
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Events of jicai",
            "version": "1",
            "description": "Facts in the past tense, as CloudEvents 1.0 in structured JSON. Made by `jicai events`.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            topic: {
                "address": topic,
                "description": f"What {topic} says; the key is the subject, order is kept per key.",
                "messages": {one.__name__: {"$ref": f"#/components/messages/{one.__name__}"} for one in contracts},
            }
            for topic, contracts in by_topic.items()
        },
        "operations": {
            f"{topic}_says": {"action": "send", "channel": {"$ref": f"#/channels/{topic}"}} for topic in by_topic
        },
        "components": {
            "messages": {contract.__name__: _message(contract) for contract in EVENTS.values()},
            "schemas": schemas,
        },
    }


def _message(contract: Any) -> dict[str, Any]:
    return {
        "name": contract.TYPE,
        "title": contract.__name__,
        "summary": _first_line(contract),
        "contentType": CONTENT_TYPE,
        "examples": [{"payload": _example(contract.TYPE)}],
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/Envelope"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": contract.TYPE},
                        "data": {"$ref": f"#/components/schemas/{contract.__name__}"},
                    },
                },
            ]
        },
    }


def _yaml(value: Any, depth: int = 0) -> Iterator[str]:
    """Block YAML of JSON values; scalars and keys are JSON, which is YAML, so nothing is ever read as something else."""
    indent = "\n" + "  " * depth
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            plain = key if key.isidentifier() else json.dumps(key)
            yield f"{indent}{plain}:"
            yield from _yaml(inner, depth + 1)
    elif isinstance(value, list | tuple) and value:
        for inner in value:
            yield f"{indent}-"
            yield from _yaml(inner, depth + 1)
    else:
        yield " " + json.dumps(value, ensure_ascii=False)
