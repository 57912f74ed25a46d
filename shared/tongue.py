"""What is said in the reader's language: English unless Chinese is preferred; ids and amounts are never changed."""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from shared.errors import Said, filled

ENGLISH, CHINESE = "en", "zh"

language: ContextVar[str] = ContextVar("language", default=ENGLISH)
"""What the present request is answered in; set at the door."""


@cache
def chinese() -> Mapping[str, Mapping[str, str]]:
    """The Chinese words: titles by code, sentences by the English one with its {names}."""
    return tomllib.loads((Path(__file__).parent / "zh.toml").read_text(encoding="utf-8"))


def preferred(accept_language: str | None) -> str:
    """The language of an Accept-Language header that we have and that weighs most (RFC 9110 §12.5.4)."""
    best, weight = ENGLISH, 0.0
    for part in (accept_language or "").split(",")[:20]:
        name, _, quality = part.strip().partition(";")
        stem = name.strip().lower().partition("-")[0]
        if stem in (ENGLISH, CHINESE) and _quality(quality) > weight:
            best, weight = stem, _quality(quality)
    return best


def _quality(text: str) -> float:
    try:
        return float(text.strip().removeprefix("q=")) if text.strip() else 1.0
    except ValueError:
        return 0.0


@contextmanager
def speaking(tongue: str) -> Iterator[None]:
    """What is said in the block is said in this language: for work that goes on after its request."""
    before = language.set(tongue)
    try:
        yield
    finally:
        language.reset(before)


def spoken(text: str) -> str:
    """A sentence in the language of this request, where zh.toml has it; its values stay as they are."""
    if language.get() != CHINESE or not isinstance(text, Said):
        return str(text)
    found = chinese()["sentences"].get(text.sentence)
    if found is None:
        return str(text)
    values = {name: spoken(value) if isinstance(value, Said) else value for name, value in text.values.items()}
    return filled(found, values)
