"""What is said in the reader's language: English unless Chinese is preferred; ids and amounts are never changed."""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from string import Formatter
from typing import Annotated, Any

from pydantic import PlainSerializer

from shared.errors import Said, filled

ENGLISH, CHINESE = "en", "zh"

WORDS = frozenset(
    {"state", "states", "verb", "possible", "named", "made", "allowed", "what"}
    | {"roles", "held", "role", "by_hand", "kind", "kinds", "category", "reasons"}
)
"""The values of a sentence that may be words of ours, which `[words]` has the Chinese of."""
ENOUGH_LETTERS = 8
"""A sentence of fewer letters between its values says too little to be known again in a text."""


@dataclass(slots=True)
class Choice:
    """The language of one answer, and whether something in it was said by that choice."""

    language: str = ENGLISH
    counts: bool = False

    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """What the answer says of itself (RFC 9110 §8.5, §12.5.5): nothing, where it is the same in either language."""
        if not self.counts:
            return ()
        return ((b"content-language", self.language.encode()), (b"vary", b"Accept-Language"))


OF_NOBODY = Choice()
choice: ContextVar[Choice] = ContextVar("choice", default=OF_NOBODY)
"""That of the present request; set at the door."""


@cache
def chinese() -> Mapping[str, Mapping[str, str]]:
    """The Chinese words: titles by code, sentences by the English one with its {names}, and words of ours inside them."""
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


def language() -> str:
    """What is to be said now, is said in this language; the answer depends on it from here on."""
    chosen = choice.get()
    chosen.counts = True
    return chosen.language


@contextmanager
def speaking(tongue: str) -> Iterator[Choice]:
    """What is said in the block is said in this language: for what has no request, or goes on after it."""
    chosen = Choice(tongue)
    before = choice.set(chosen)
    try:
        yield chosen
    finally:
        choice.reset(before)


def spoken(text: str) -> str:
    """A sentence in the language of this request, where zh.toml has it; its values stay as they are."""
    if not isinstance(text, Said) or language() != CHINESE:
        return str(text)
    found = chinese()["sentences"].get(text.sentence)
    if found is None:
        return str(text)
    return filled(found, {name: _value(name, value) for name, value in text.values.items()})


def _value(name: str, value: Any) -> Any:
    if isinstance(value, Said):
        return spoken(value)
    return worded(value) if name in WORDS and isinstance(value, str) else value


def worded(value: str) -> str:
    """Words of ours (states, steps, roles, kinds), as many as there are, each with what it is called by in a request.

    A number may stand before one: `2 pending`.
    """
    return ", ".join(_worded(one) for one in value.split(", "))


def _worded(one: str) -> str:
    words = chinese()["words"]
    if one in words:
        return f"{words[one]}({one})"
    number, space, word = one.partition(" ")
    return f"{number}{space}{_worded(word)}" if number.isdigit() and word else one


def retold(text: str) -> str:
    """What was kept in English, told in the language of this request: where it is one of our sentences, with its values as they
    stand in it. One that can be read in several ways stays as it is, and so does a text of a person's own, unless it is word
    for word one of ours."""
    return _retold(text) if language() == CHINESE else text


def retold_within(value: Any, names: Collection[str] | None = None) -> Any:
    """The same of every text in lists and objects, or with `names` of those that stand under one of them."""
    if isinstance(value, Mapping):
        return {
            name: retold_within(inner, None if names is None or name in names else names)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [retold_within(inner, names) for inner in value]
    return retold(value) if isinstance(value, str) and names is None else value


Told = Annotated[str, PlainSerializer(retold, return_type=str)]
"""A field of a view that was kept in English and may be a sentence of ours."""


@lru_cache(maxsize=4_096)
def _retold(text: str) -> str:
    sentences = chinese()["sentences"]
    if text in sentences:
        return sentences[text]
    whole = text if _INSTANT.fullmatch(text) else _INSTANT.sub(lambda found: found[0].replace(" ", _TIE), text)
    for least, most, said in _forms():
        if found := least.fullmatch(whole):
            values = found.groupdict()
            if (other := most.fullmatch(whole)) is None or other.groupdict() != values:
                return text
            return said.format_map({name: _retold_value(name, value) for name, value in values.items()})
    return text


def _retold_value(name: str, value: str) -> str:
    told = _retold(value.replace(_TIE, " "))
    return worded(told) if name in WORDS else told


_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d \(Shanghai\)")
_TIE = "\0"
"""What stands for the spaces of an instant in a kept sentence, so that they are not taken for those of the sentence."""


@cache
def _forms() -> Sequence[tuple[re.Pattern[str], re.Pattern[str], str]]:
    """The sentences with values as patterns of what they look like, and their Chinese for plain values; the fullest first: of
    most letters, then of most values. Each twice, with the first values as short and as long as can be: where both find the
    same, a text can be read in one way alone."""
    found: list[tuple[int, re.Pattern[str], re.Pattern[str], str]] = []
    for english, said in chinese()["sentences"].items():
        parts = [(text, name, spec) for text, name, spec, _ in Formatter().parse(english)]
        letters = sum(one.isalpha() for text, _, _ in parts for one in text)
        if letters >= ENOUGH_LETTERS and any(name for _, name, _ in parts):
            plain = "".join(
                _escaped(text) + (f"{{{name}}}" if name else "") for text, name, _, _ in Formatter().parse(said)
            )
            least, most = (re.compile("".join(_form(parts, lazy)), re.DOTALL) for lazy in ("?", ""))
            found.append((letters, least, most, plain))
    return [(least, most, said) for _, least, most, said in sorted(found, key=lambda one: (-one[0], -one[1].groups))]


def _form(parts: Sequence[tuple[str, str | None, str | None]], lazy: str) -> Iterator[str]:
    """What may stand for a value: anything, before a mere space one word (a quantity and its unit), for a count a number."""
    known: set[str] = set()
    for place, (text, name, spec) in enumerate(parts):
        yield re.escape(text)
        if name:
            before_a_space = parts[place + 1 : place + 2] and parts[place + 1][0] == " "
            counted = spec and spec.startswith("#")
            value = "[0-9,]+" if counted else rf"\S+{lazy}" if before_a_space else f".+{lazy}"
            yield f"(?P={name})" if name in known else f"(?P<{name}>{value})"
            yield f" [a-z ]+{lazy}" if counted else ""
            known.add(name)


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
