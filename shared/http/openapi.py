"""The names of schemas in OpenAPI: plain words, never the path of a module."""

import re
from typing import Any

import orjson

_OF_MODULE = re.compile(r"\w+__(?P<module>\w+?)s?__(?P<name>[A-Za-z]+)")
_ONE_SIDE = re.compile(r"-(Input|Output)$")


def plainly_named(document: dict[str, Any]) -> dict[str, Any]:
    """The document with `services__alerts__rules__problems__Kind` called ProblemKind, wherever it is referred to."""
    schemas = document.get("components", {}).get("schemas", {})
    names: dict[str, str] = {}
    for name in schemas:
        plain = plain_name(name)
        names[name] = name if plain in schemas or plain in names.values() else plain
    text = orjson.dumps(document)
    for name, plain in names.items():
        text = text.replace(f'#/components/schemas/{name}"'.encode(), f'#/components/schemas/{plain}"'.encode())
    plainly: dict[str, Any] = orjson.loads(text)
    if schemas:
        renamed = plainly["components"]["schemas"]
        plainly["components"]["schemas"] = {names[name]: schema for name, schema in renamed.items()}
    return plainly


def plain_name(name: str) -> str:
    """What a schema is called: the thing of its module before its own name, where two modules have one of that name."""
    name = _ONE_SIDE.sub("", name)
    found = _OF_MODULE.fullmatch(name)
    return found["module"].rpartition("__")[2].capitalize() + found["name"] if found else name
