"""The values of a sentence are told as the sentence is: instants in Shanghai, and no English of ours inside Chinese."""

import ast
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from shared import tongue
from shared.errors import Said
from shared.history import Deed, heard
from shared.http.words import error_classes
from tests.shared.test_words import kept

AT = datetime(2026, 11, 28, 16, 3, 27, tzinfo=UTC)
REFUSALS = {one.__name__ for classes in error_classes().values() for one in classes}


@pytest.mark.parametrize("language", [tongue.ENGLISH, tongue.CHINESE])
def test_an_answer_names_its_language_once_a_sentence_of_ours_is_said_in_it(language: str) -> None:
    with tongue.speaking(language) as choice:
        tongue.spoken("CG-1")
        with tongue.speaking(tongue.ENGLISH):  # kept in English, whoever asks
            tongue.spoken(Said("The thing is gone."))
        assert not choice.headers()
        tongue.spoken(Said("The thing is gone."))
        assert choice.headers() == ((b"content-language", language.encode()), (b"vary", b"Accept-Language"))


def test_an_instant_is_told_by_the_minute_in_shanghai_in_either_language_and_known_again() -> None:
    said = Said("It was resolved at {at}: {resolution}", at=AT, resolution="paid")
    assert str(said) == "It was resolved at 2026-11-29 00:03 (Shanghai): paid"
    with tongue.speaking(tongue.CHINESE):
        assert tongue.spoken(said) == tongue.retold(str(said)) == "已于 2026-11-29 00:03(上海时间) 解除:paid"


def test_an_instant_inside_a_part_of_a_sentence_is_told_so_too() -> None:
    since = Said(" since {at}", at=AT)
    said = Said("Payment {id} of {amount_yuan} yuan is {state}{since}; the bank's answer {answer!j} does not fit.", id=7,
                amount_yuan=1, state="failed", since=since, answer="paid")  # fmt: skip
    assert "is failed since 2026-11-29 00:03 (Shanghai);" in said
    with tongue.speaking(tongue.CHINESE):
        assert "(自 2026-11-29 00:03(上海时间) 起);" in tongue.spoken(said)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("listed, suspended", "已挂网(listed), 已暂停(suspended)"),
        ("1 fulfilled, 12 pending", "1 已履行完毕(fulfilled), 12 待确认(pending)"),
        ("call back", "撤回发货(call back)"),
        ("H33010200901, 2 boxes", "H33010200901, 2 boxes"),
    ],
)
def test_words_of_ours_are_said_in_chinese_one_by_one(value: str, told: str) -> None:
    assert tongue.worded(value) == told


def test_words_of_ours_in_a_kept_sentence_are_said_in_chinese_too() -> None:
    said = Said("Order {order_number} has no pending line: {states}.", order_number="CG-1", states="1 cancelled")
    with tongue.speaking(tongue.CHINESE):
        assert tongue.retold(str(said)) == tongue.spoken(said) == "订单 CG-1 没有待确认的行:1 已取消(cancelled)。"


def test_what_nobody_asked_for_is_done_by_itself_in_the_reader_s_language() -> None:
    assert heard(AT, "paid").model_dump(mode="json")["person"] == "by itself"
    with tongue.speaking(tongue.CHINESE):
        assert heard(AT, "paid").model_dump(mode="json")["person"] == "平台自动处理"


def test_what_can_be_read_in_several_ways_stays_as_it_was_kept() -> None:
    words = "{refused} of {ordered} {product} were refused, order {order_number}: {reason}"
    values = {"refused": 2, "ordered": 3, "product": "头孢 (0.5 g)", "order_number": "CG-1", "reason": "无货"}
    with tongue.speaking(tongue.CHINESE):
        assert tongue.retold(str(Said(words, **values))) == "订单 CG-1:头孢 (0.5 g) 订购 3,其中 2 不予配送:无货"
        for name, odd in (("order_number", "CG: 1"), ("reason", "无货: 停产"), ("product", "A were refused, order B")):
            text = str(Said(words, **{**values, name: odd}))
            assert tongue.retold(text) == text


@pytest.mark.parametrize("odd", ["CG: 1", "甲 乙 (丙)", "a, b", "1 of 2", "甲; 乙 and 丙", "甲. 乙"])
def test_no_value_garbles_a_kept_sentence(odd: str) -> None:
    """Whatever it holds, wherever it stands; but before a mere space, where numbers, days and regions are."""
    told = 0
    for sentence in sorted(set(kept())):
        parts = list(Formatter().parse(sentence))
        of_ours = {name: 2_222 for _, name, spec, _ in parts if name and "%" not in (spec or "")}
        days = {name: AT.date() for _, name, spec, _ in parts if name and "%" in (spec or "")}
        after = [text for text, _, _, _ in parts[1:]] + [""]
        for (_, name, spec, how), text in zip(parts, after, strict=True):
            if name and not spec and not how and text != " ":
                said = Said(sentence, **{**of_ours, **days, name: odd})
                with tongue.speaking(tongue.CHINESE):
                    assert tongue.retold(str(said)) in {tongue.spoken(said), str(said)}
                    told += tongue.retold(str(said)) != str(said)
    assert told > 200, "few stay as they were"


def test_what_a_person_wrote_is_never_told_in_other_words() -> None:
    ours, theirs = "The recall is closed.", "The line is closed: 停产"
    written = {"reason": ours, "disputed": [{"reason": theirs}], "changes": {"explanation": [None, ours]}}
    by_us = {"detail": ours, "faults": [{"rule": theirs, "given": ours}]}
    deed = Deed(
        at=AT,
        action="disputed",
        organisation="H33010200901",
        person="张三",
        detail={**written, **by_us},
        request_id=None,
    )
    of_ours = {"detail": "召回已关闭。", "faults": [{"rule": "该行已关闭:停产", "given": ours}]}
    with tongue.speaking(tongue.CHINESE):
        assert deed.model_dump(mode="json")["detail"] == {**written, **of_ours}
        assert heard(AT, "closed", reason=ours).model_dump(mode="json")["detail"] == {"reason": "召回已关闭。"}


def values() -> Iterator[tuple[str, str, ast.expr]]:
    """Where, by which name and by which expression each sentence in a source is given a value."""
    for path in [*Path("shared").rglob("*.py"), *Path("services").rglob("*.py"), *Path("deploy").glob("*.py")]:
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            made = {
                target.id: one.value
                for one in ast.walk(function)
                if isinstance(one, ast.Assign)
                for target in one.targets
                if isinstance(target, ast.Name)
            }
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and ast.unparse(call.func) in REFUSALS | {"Said", "refused"}:
                    for given in (one for one in call.keywords if one.arg not in {None, "headers", "faults"}):
                        value = made.get(given.value.id) if isinstance(given.value, ast.Name) else given.value
                        yield f"{path}:{call.lineno}", str(given.arg), value or given.value


def english(value: ast.expr) -> Iterator[str]:
    """The plain texts that a value is made of: what stands for none, what is chosen, what joins many, what is around it."""
    match value:
        case ast.BoolOp(values=[*_, ast.Constant(value=str(text))]):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from (text for inner in (one, other) for text in english(inner))
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="join")):
            yield text
        case ast.JoinedStr(values=parts):
            yield from (part.value for part in parts if isinstance(part, ast.Constant) and " " in str(part.value))
        case ast.Constant(value=str(text)):
            yield text


def formats(value: ast.expr) -> Iterator[str]:
    """The forms of days and instants that a value is written in by hand."""
    for inner in ast.walk(value):
        if isinstance(inner, ast.Attribute) and inner.attr in {"isoformat", "strftime", "astimezone"}:
            yield inner.attr
        elif isinstance(inner, ast.FormattedValue) and inner.format_spec and "%" in ast.unparse(inner.format_spec):
            yield ast.unparse(inner.format_spec)


def is_said(name: str, text: str) -> bool:
    """Whether a plain text is told in Chinese as well: it is a word of ours at a place for them, or has no letters."""
    named: Any = tongue.chinese()["words"]
    return not any(one.isalpha() for one in text) or (name in tongue.WORDS and text in named)


FIELDS = {
    ("services/listing/rules/faults.py", "override_reason"),
    ("services/listing/handlers/enterprises.py", "name_reason"),
}
"""Names of fields, which are the same in either language."""
EXACT = {("shared/http/operations.py", "isoformat")}
"""The clock is driven to the microsecond, and says so as it is told."""


def without(lines: Sequence[tuple[str, str]], known: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(where, text) for where, text in lines if (where.rpartition(":")[0], text) not in known}


def test_no_value_of_a_sentence_is_plain_english() -> None:
    found = [(where, text) for where, name, value in values() for text in english(value) if not is_said(name, text)]
    assert without(found, FIELDS) == set()


def test_no_value_of_a_sentence_is_a_day_or_an_instant_written_by_hand() -> None:
    assert without([(where, form) for where, _, value in values() for form in formats(value)], EXACT) == set()
