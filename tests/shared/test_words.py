"""Refusals speak the reader's language, every code has a title in both and a page, and nothing else is ever translated."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from string import Formatter
from typing import Any

import httpx
import pytest

from deploy.services import load_all
from services.alerts.rules.alerts import Kind
from shared import tongue
from shared.errors import Said
from shared.http import words
from shared.identity import ROLES
from shared.service import Service
from tests.toy import let_in, toy

let_in()
load_all()

CHINESE = {"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"}


@pytest.fixture
def service() -> Service:
    return toy


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "en"),
        ("zh", "zh"),
        ("zh-CN,en;q=0.8", "zh"),
        ("en;q=0.9,zh;q=0.8", "en"),
        ("fr,zh;q=0.1", "zh"),
        ("fr", "en"),
        ("zh;q=0", "en"),
        ("zh;q=x", "en"),
        (",;,", "en"),
    ],
)
def test_the_language_that_weighs_most_is_spoken(header: str | None, expected: str) -> None:
    assert tongue.preferred(header) == expected


def test_every_code_has_a_title_in_chinese_and_no_title_is_of_no_code() -> None:
    ours = {
        code
        for code, classes in words.error_classes().items()
        if classes[0].__module__.startswith(("shared", "services"))
    }
    assert set(tongue.chinese()["titles"]) == ours | set(words.BY_THE_EDGE)


async def test_a_refusal_in_chinese_keeps_ids_and_amounts(
    client: httpx.AsyncClient, caller: Callable[..., dict[str, str]]
) -> None:
    headers = caller("hospital", "H33010200059") | CHINESE
    answer = await client.post("/things", json={"nam": "x"}, headers=headers)
    problem = answer.json()
    assert problem["title"] == "请求的格式不符合要求"
    assert problem["detail"] == "请求中有 2 处错误,未作任何更改。"
    assert {(one["pointer"], one["rule"]) for one in problem["errors"]} == {
        ("/name", "缺少该字段"),
        ("/nam", "这里不识别此名称的字段"),
    }
    nowhere = (await client.get("/nowhere", headers=CHINESE)).json()
    assert (nowhere["code"], nowhere["title"]) == ("no_such_path", "没有这个路径")
    assert (await client.get("/things")).json()["title"] == "A token is needed"
    assert (await client.get("/things", headers=CHINESE)).json()["title"] == "需要令牌"


async def test_an_answer_says_what_it_is_in_and_that_the_reader_chose_it(
    client: httpx.AsyncClient, caller: Callable[..., dict[str, str]]
) -> None:
    who = caller("hospital", "H33010200059")
    for asked, language in (({}, "en"), (CHINESE, "zh")):
        refused = await client.get("/nowhere", headers=who | asked)
        assert (refused.headers["content-language"], refused.headers["vary"]) == (language, "Accept-Language")
        plain = await client.get("/things", headers=who | asked)
        assert plain.status_code == 200
        assert not {"content-language", "vary"} & set(plain.headers)
        page = await client.get("/errors/no_token", headers=asked)
        assert (page.headers["content-language"], "vary" in page.headers) == ("en, zh", False)


async def test_the_type_of_a_problem_leads_to_its_page(client: httpx.AsyncClient) -> None:
    problem = (await client.get("/things")).json()
    page = await client.get(problem["type"])
    assert page.status_code == 200
    assert page.text.startswith("# no_token\n\nHTTP 401\n")
    assert "需要令牌" in page.text
    assert (await client.get("/errors/nothing_of_the_kind")).json()["code"] == "no_such_page"


@pytest.mark.parametrize("code", words.codes())
def test_every_page_of_an_error_says_what_to_do_in_english_and_in_chinese(code: str) -> None:
    lines = (words.page(code) or "").splitlines()
    said = [place for place, line in enumerate(lines) if line.startswith("What to do: ")]
    assert said
    for place in said:
        assert len(lines[place].split()) > 6
        assert lines[place + 2].startswith("处理办法:")
        assert len(lines[place + 2]) > 15


def test_what_the_pages_say_in_chinese_is_said_and_keeps_the_names_of_the_contract() -> None:
    pages = "".join(words.page(code) or "" for code in words.codes())
    for english, chinese in tongue.chinese()["pages"].items():
        assert f"{english}\n\n" in pages
        assert sorted(re.findall(r"`[^`]+`", chinese)) == sorted(re.findall(r"`[^`]+`", english)), english


@pytest.mark.parametrize("code", ["still_running", "busy", "run_not_sent", "product_not_known_yet"])
def test_what_passes_by_itself_is_waited_for(code: str) -> None:
    assert "What to do: Wait as long as `Retry-After` says" in (words.page(code) or "")


def test_a_page_speaks_of_places_only_where_some_line_of_ours_names_them() -> None:
    told = {"key_reused": "under a new key", "page_too_long": "`limit`", "event_too_large": "Send less"}
    for code, advice in told.items():
        assert advice in (words.page(code) or "")
        assert "Mend each place" not in (words.page(code) or "")
    assert "`detail`" not in (words.page("internal") or "")


def cells() -> Iterator[str]:
    """Every sentence that refuses a cell of a sheet, or a sheet as a whole: its rule, and what is accepted."""
    for path in [*Path("shared/codes").glob("*.py"), *Path("shared/imports").glob("*.py")]:
        module = import_module(".".join(path.with_suffix("").parts))
        yield from (text for name, text in vars(module).items() if name.endswith("ALLOWED") and isinstance(text, str))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in REFUSES_A_CELL:
                yield from _texts(call.args)
            elif isinstance(call, ast.Call) and ast.unparse(call.func) in REFUSES_A_SHEET:
                told = [*call.args, *(named.value for named in call.keywords)]
                yield from (text for text in _texts(told) if " " in text)  # the code of the refusal has none


def _texts(said: Sequence[ast.expr]) -> Iterator[str]:
    yield from (one.value for one in said if isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value)


REFUSES_A_SHEET = {"SheetRefused", "broken", "_unreadable", "_too_large", "_wrong"}
REFUSES_A_CELL = {"CodeRefused", "FieldRefused", "Refusal", "self.refuse"}


def test_what_refuses_a_cell_or_a_sheet_is_said_in_chinese_too() -> None:
    assert set(cells()) - set(tongue.chinese()["sentences"]) == set()


PUT_TOGETHER = {
    "said": "One fault; nothing was changed. {first}.",
    "told": "{detail}{place}{found}{accepted}",
}
"""The sentences that these functions make: of the faults of an order, of a sheet that cannot be taken."""


def details() -> Iterator[tuple[str, str | None]]:
    """Every code that some line of ours raises, with the sentence of its detail; None where it is put together."""
    codes = {one.__name__: code for code, classes in words.error_classes().items() for one in classes}
    for path in [*Path("shared").rglob("*.py"), *Path("services").rglob("*.py")]:
        codes["refused"] = "token_refused" if path.parent.name == "identity" else ""
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and codes.get(call.func.id) and call.args:
                yield codes[call.func.id], _sentence(call.args[0])


def _sentence(said: ast.expr) -> str | None:
    if isinstance(said, ast.Call) and isinstance(said.func, ast.Name) and said.func.id == "Said":
        return _sentence(said.args[0])
    if isinstance(said, ast.Call) and isinstance(said.func, ast.Name) and said.func.id in PUT_TOGETHER:
        return PUT_TOGETHER[said.func.id]
    return said.value if isinstance(said, ast.Constant) and isinstance(said.value, str) else None


def test_every_detail_is_said_in_chinese_too() -> None:
    known = tongue.chinese()["sentences"]
    assert {code for code, sentence in details() if sentence not in known} == set()


def sentences() -> Iterator[str]:
    """Every sentence of ours that stands in a source, who acts next included: mypy lets NextStep take no plain text."""
    for path in [*Path("shared").rglob("*.py"), *Path("services").rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "Said":
                yield from _texts(call.args)


def test_every_sentence_of_ours_is_said_in_chinese_too() -> None:
    assert set(sentences()) - set(tongue.chinese()["sentences"]) == set()


FAULTS = {"Fault": 2, "RuleBroken": 1, "faults.add": 2, "self.add": 2, "fault": 1}
"""What makes a fault, and at which place its rule stands, before what is allowed."""


def rules() -> Iterator[str]:
    """Every rule of a fault and what it allows, as it stands in a source; one with values in it is a Said."""
    for path in [*Path("shared").rglob("*.py"), *Path("services").rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and (first := FAULTS.get(ast.unparse(call.func))) is not None:
                named = [one.value for one in call.keywords if one.arg in {"rule", "allowed"}]
                for said in [*call.args[first : first + 2], *named]:
                    assert not isinstance(said, ast.JoinedStr), f"{path}:{call.lineno}: {ast.unparse(said)}"
                    yield from (text for text in _texts([said]) if " " in text)


def test_every_rule_of_a_fault_is_said_in_chinese_too() -> None:
    assert set(rules()) - set(tongue.chinese()["sentences"]) == set()


def test_no_sentence_passes_a_library_s_words_on() -> None:
    passed_on = {one for one in tongue.chinese()["sentences"] if "{error" in one}
    assert passed_on == {"{name} is no TOML: {error}"}  # told at the start, to operations


SAID_AT_ONCE = frozenset(
    {
        "0 to {quantity_ordered}",
        "1 to {CODES_PER_DOCUMENT}",
        "after {produced_on}",
        "after {today}",
        "at most {left}",
        "at most {longest_shelf_life_days:#day}",
        "from {day} on",
        "from {first} to {today}",
        "from {sent_at} on",
        " since {at}",
        "lines {numbers}",
        "line {number}",
        "one of: {numbers}",
        "pay {yuan}",
        "ship {goods}",
        "to {now}",
        "up to {today}",
        "{EARLIEST} to {now}",
        "{about} ({code})",
        "{count:#line}",
        "{first} or later",
        "{number!j} of {institution}",
        "{old!j}",
        "{quantity} {unit} of line {line}",
        "{valid_from} or later",
        "{what} ({reason})",
        "{what}; {holder}",
        "{what}: {yuan}",
        "{yuan} yuan",
    }
)
"""Parts of a refusal or of who acts next, made anew whenever they are told: too short to be known again, and never kept."""


def kept() -> Iterator[str]:
    """The sentences that may be kept in rows, and told later, to readers of either language."""
    for layer in ("rules", "handlers"):
        for path in Path("services").glob(f"*/{layer}/**/*.py"):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "Said":
                    yield from (text for text in _texts(call.args) if text not in SAID_AT_ONCE)


@pytest.mark.parametrize("sentence", sorted(set(kept())))
def test_what_was_kept_in_english_is_known_again_and_told_in_chinese(sentence: str) -> None:
    names = list(dict.fromkeys(name for _, name, _, _ in Formatter().parse(sentence) if name))
    said = Said(sentence, **{name: _sample(sentence, name, place) for place, name in enumerate(names, 2)})
    with tongue.speaking(tongue.CHINESE):
        assert tongue.retold(str(said)) == tongue.spoken(said) != str(said)
    assert tongue.retold(str(said)) == str(said)


@pytest.mark.parametrize("sentence", sorted(set(kept())))
def test_an_instant_in_what_was_kept_is_taken_whole_wherever_it_stands(sentence: str) -> None:
    names = dict.fromkeys(name for _, name, spec, how in Formatter().parse(sentence) if name and not spec and not how)
    for instant in names:
        values = {name: _sample(sentence, name, 2) for _, name, _, _ in Formatter().parse(sentence) if name}
        said = Said(sentence, **{**values, instant: datetime(2026, 3, 1, 16, 3, tzinfo=UTC)})
        with tongue.speaking(tongue.CHINESE):
            assert tongue.retold(str(said)) == tongue.spoken(said)


def _sample(sentence: str, name: str, place: int) -> Any:
    """A value of a kind that the place takes."""
    specs = {inner: spec for _, inner, spec, _ in Formatter().parse(sentence)}
    return date(2026, 3, 1) if "%" in (specs[name] or "") else place * 1_111


def test_a_text_of_a_person_s_own_stays_as_it_is() -> None:
    with tongue.speaking(tongue.CHINESE):
        for text in ("本月产能不足", "The lorry broke down.", "", "a: b"):
            assert tongue.retold(text) == text
        told = {"reason": "The recall is closed.", "lines": [{"detail": "The line is closed: 停产"}], "count": 3}
        assert tongue.retold_within(told) == {
            "reason": "召回已关闭。",
            "lines": [{"detail": "该行已关闭:停产"}],
            "count": 3,
        }


def test_words_of_ours_inside_a_sentence_are_said_in_chinese_and_by_what_they_are_called_in_a_request() -> None:
    said = Said("Anomaly {id} is {state}: {finding}", id="7", state="closed", finding="open")
    with tongue.speaking(tongue.CHINESE):
        assert tongue.spoken(said) == "异常 7 处于 已关闭(closed):open"
    assert str(said) == "Anomaly 7 is closed: open"


def test_every_state_and_step_has_a_word_in_chinese() -> None:
    words_of_ours = set(ROLES) | {str(kind) for kind in Kind}
    for path in Path("services").glob("*/rules/*.py"):
        steps = getattr(import_module(".".join(path.with_suffix("").parts)), "NEXT", {})
        words_of_ours |= {str(one) for pair in steps for one in pair}
        words_of_ours |= {str(after) for after in steps.values() if isinstance(after, str)}
    assert words_of_ours - set(tongue.chinese()["words"]) == set()


def test_a_sentence_in_chinese_keeps_every_value_and_adds_none() -> None:
    for english, chinese in tongue.chinese()["sentences"].items():
        assert sorted(set(_names(chinese))) == sorted(set(_names(english))), english


def _names(sentence: str) -> Iterator[str]:
    yield from (name for _, name, _, _ in Formatter().parse(sentence) if name)
