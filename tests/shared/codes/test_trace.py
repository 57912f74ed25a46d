"""Trace codes: the five families, one normal form a unit, and the speed a delivery's scan needs."""

import time

import pytest

from shared.codes import CodeRefused, Family, classify

GTIN = "06924561884074"
PRINTED = "83857930000879766660"


@pytest.mark.parametrize(
    ("code", "family", "ident", "serial"),
    [
        (PRINTED, Family.MSFX20, "8385793", "0000879766660"),
        ("80217619000000001003", Family.MSFX20, "8021761", "9000000001003"),
        ("99999999999999999999", Family.SPLIT_PLACEHOLDER, None, None),
        ("99999999999999999998", Family.NUM20_OTHER, "9999999", None),
        ("12345678901234567890", Family.NUM20_OTHER, "1234567", None),
        ("8385793000087976666", Family.OWN, None, None),
        ("838579300008797666601", Family.OWN, None, None),
        ("8385793000087976666A", Family.OWN, None, None),
        ("MAKER/12.5+7", Family.OWN, None, None),
    ],
)
def test_a_trace_code_has_a_family(code: str, family: Family, ident: str | None, serial: str | None) -> None:
    parsed = classify(code)
    assert (parsed.code, parsed.family, parsed.ident, parsed.serial) == (code, family, ident, serial)


@pytest.mark.parametrize(
    "text",
    [
        "8385793-0000879766660",
        " 8385793 0000 8797 66660 ",
        "８３８５７９３－００００８７９７６６６６０",
        "8385793\u30000000879766660",
        "8385793–0000879766660",
    ],
)
def test_spaces_hyphens_and_width_are_taken_off_a_label(text: str) -> None:
    assert classify(text) == classify(PRINTED)


@pytest.mark.parametrize(
    "text",
    [
        f"(01){GTIN}(21)aB12",
        f"（01）{GTIN}（21）aB12",
        f"(01) {GTIN} (21) aB12",
        f"(01){GTIN}(17)251231(10)L7(21)aB12",
        f"(21)aB12(01){GTIN}",
        f"01{GTIN}21aB12",
        f"]d201{GTIN}21aB12",
        f"\x1d01{GTIN}21aB12",
        f"01{GTIN}1725123110L7\x1d21aB12",
        f"01{GTIN}21aB12\x1d10L7",
        f"10L7\x1d01{GTIN}21aB12",
    ],
)
def test_one_gs1_unit_has_one_normal_form(text: str) -> None:
    parsed = classify(text)
    assert (parsed.code, parsed.family) == (f"(01){GTIN}(21)aB12", Family.GS1)
    assert (parsed.ident, parsed.serial) == (GTIN, "aB12")
    assert classify(parsed.code) == parsed


def test_a_gs1_code_of_twenty_digits_keeps_its_family_in_normal_form() -> None:
    parsed = classify(f"(01){GTIN}(21)12")
    assert parsed.family is Family.GS1
    assert classify(parsed.code) == parsed


@pytest.mark.parametrize(
    "text",
    [
        f"(01){GTIN}",
        "01069245618840759",
        f"(01){GTIN}(10)L7",
        "(21)A",
        f"(01){GTIN}(21)",
        f"(01){GTIN}(21)" + "A" * 21,
        f"(01){GTIN}(21)AB(C",
        f"(01){GTIN}(17)251331(21)A",
        f"x(01){GTIN}(21)A",
    ],
)
def test_what_only_looks_like_gs1_is_the_makers_own(text: str) -> None:
    assert classify(text).family is Family.OWN


def test_a_serial_of_twenty_characters_is_gs1() -> None:
    assert classify(f"(01){GTIN}(21)" + "A" * 20).family is Family.GS1


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "empty"),
        (" - ", "empty"),
        ("\x1d", "empty"),
        ("A" * 101, "longer than 100"),
        ("8385793\x000000879766660", "control"),
        (PRINTED + "\n", "control"),
        ("A\u202eB", "control"),
        ("A\u200bB", "control"),
        ("\ud800", "control"),
        ("A\x1dB", "group separator"),
        ("8.38579300008797e+19", "changed by a spreadsheet"),
        ("(01)06924561884075(21)A", "5 stands where 4 should"),
        ("(01)06924561884075(10)L7", "check digit"),
        ("010692456188407521A", "5 stands where 4 should"),
        ("010692456188407521123456", "check digit"),
        ("01069245618840751725123110L7", "check digit"),
        ("01069245618840751725123110L7\x1d21aB12", "check digit"),
        ("(01)06924561884075(17)251231(10)L7(21)A", "check digit"),
        ("]d2010692456188407521A", "check digit"),
        ("\x1d010692456188407521A", "check digit"),
        ("10L7\x1d010692456188407521A", "check digit"),
    ],
)
def test_an_unreadable_trace_code_is_refused(text: str, rule: str) -> None:
    with pytest.raises(CodeRefused) as refused:
        classify(text)
    assert rule in refused.value.rule


def test_a_hundred_characters_are_read() -> None:
    assert classify("A" * 100).family is Family.OWN


def test_digits_of_other_scripts_are_no_digits() -> None:
    assert classify("٨" * 20).family is Family.OWN


def test_ten_thousand_printed_codes_take_a_moment() -> None:
    codes = [f"8385793{serial:013d}" for serial in range(10_000)]
    best = min(_seconds(codes) for _ in range(3))
    assert best < 0.1, f"{best:.3f} s for 10,000 codes"


def _seconds(codes: list[str]) -> float:
    began = time.perf_counter()
    for code in codes:
        classify(code)
    return time.perf_counter() - began
