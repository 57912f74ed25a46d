"""The contract of the events as files: a JSON Schema per event and one AsyncAPI page, both made from the classes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from deploy.services import NAMES
from shared.envelope import CONTENT_TYPE, Envelope
from shared.events import EVENTS, topic_of
from shared.migrations import ROOT

FOLDER = ROOT / "docs" / "events"
ASYNCAPI = "asyncapi.yaml"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def files() -> dict[str, str]:
    """Every file of the contract by its name."""
    made = {f"{event_type}.json": _pretty(_schema(event_type)) for event_type in sorted(EVENTS)}
    return made | {ASYNCAPI: "".join(_yaml(_asyncapi())).lstrip("\n") + "\n"}


def stale(folder: Path = FOLDER) -> list[str]:
    """Which files are missing, differ or are too many."""
    wanted = files()
    known = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()} if folder.exists() else {}
    return sorted(name for name in wanted.keys() | known.keys() if wanted.get(name) != known.get(name))


def write(folder: Path = FOLDER) -> list[str]:
    """Brings the folder up to date; returns what changed."""
    changed, wanted = stale(folder), files()
    folder.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return changed


def _schema(event_type: str) -> dict[str, Any]:
    return {"$schema": DIALECT, "$id": event_type, **msgspec.json.schema(EVENTS[event_type])}


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
