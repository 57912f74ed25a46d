"""Codes of companies, institutions, regions and products: every known vector, and both sides of each rule."""

import pytest

from shared.codes import (
    CodeRefused,
    InstitutionKind,
    ProductKind,
    UsccCategory,
    covers,
    parse_consumable,
    parse_drug,
    parse_gtin,
    parse_institution,
    parse_product,
    parse_region,
    parse_standard,
    parse_uscc,
    province_name,
    region_prefix,
    to_gtin14,
)


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("11500000MB17640107", UsccCategory.GOVERNMENT),
        ("123502001549897397", UsccCategory.PUBLIC_INSTITUTION),
        ("91310110666007217T", UsccCategory.ENTERPRISE),
        ("91350200MA31E12PXF", UsccCategory.ENTERPRISE),
        ("9135021359498494XQ", UsccCategory.ENTERPRISE),
        ("91440101MA5CJQ4N59", UsccCategory.ENTERPRISE),
        ("913502000728319549", UsccCategory.ENTERPRISE),
        ("91350200MA2YJ1XR9G", UsccCategory.ENTERPRISE),
    ],
)
def test_a_good_credit_code_passes_its_check(code: str, category: UsccCategory) -> None:
    parsed = parse_uscc(code)
    assert (parsed.code, parsed.check_ok, parsed.category) == (code, True, category)


@pytest.mark.parametrize("code", ["91350211M00013FA1N", "91350203M0001QAY9B", "11500000MB17640108"])
def test_a_failing_check_digit_of_a_credit_code_is_told_and_not_refused(code: str) -> None:
    assert parse_uscc(code).check_ok is False


@pytest.mark.parametrize(
    "text", [" 91310110666007217t ", "９１３１０１１０６６６００７２１７Ｔ", "91310110666007217ｔ\u3000"]
)
def test_a_credit_code_has_one_normal_form(text: str) -> None:
    assert parse_uscc(text).code == "91310110666007217T"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "empty"),
        ("9131011066600721T", "has 18 characters, this has 17"),
        ("91310110666007217T1", "has 18 characters, this has 19"),
        *[(f"9131011066600721{letter}T", "alphabet") for letter in "IOSVZ"],
        ("91310110666007217ſ", "alphabet"),
        ("9131011066600721٣T", "alphabet"),
        ("9131A110666007217T", "region digits"),
        ("9.13301007043059e+17", "changed by a spreadsheet"),
        ("9.13301007043059E17", "changed by a spreadsheet"),
        ("913301007043059000.0", "changed by a spreadsheet"),
        ("913301007043059000", "changed by a spreadsheet"),
        ("9" * 101, "longer than 100"),
    ],
)
def test_what_has_not_the_form_of_a_credit_code_is_refused(text: str, rule: str) -> None:
    with pytest.raises(CodeRefused) as refused:
        parse_uscc(text)
    assert rule in refused.value.rule
    assert "18 characters" in refused.value.allowed


def test_a_refusal_shows_what_was_given_shortened_and_printable() -> None:
    with pytest.raises(CodeRefused) as refused:
        parse_uscc("\ud800\x00" + "A" * 5000)
    assert refused.value.given.startswith("\\ud800\\x00AAA")
    assert len(str(refused.value)) < 400
    str(refused.value).encode()


@pytest.mark.parametrize(
    ("code", "kind", "region"),
    [
        ("H44040200001", InstitutionKind.HOSPITAL, "440402"),
        ("H44040200357", InstitutionKind.HOSPITAL, "440402"),
        ("p11010100001", InstitutionKind.PHARMACY, "110101"),
    ],
)
def test_an_institution_code_tells_kind_and_region(code: str, kind: InstitutionKind, region: str) -> None:
    parsed = parse_institution(code)
    assert (parsed.code, parsed.kind, parsed.region6) == (code.upper(), kind, region)


@pytest.mark.parametrize("text", ["H4404020001", "H440402000011", "D44040200001", "H99040200001", "H4404020000٣"])
def test_what_is_no_institution_code_is_refused(text: str) -> None:
    with pytest.raises(CodeRefused):
        parse_institution(text)


@pytest.mark.parametrize(
    ("region", "prefix", "province"),
    [
        ("000000", "", "全国"),
        ("330000", "33", "浙江省"),
        ("330100", "3301", "浙江省"),
        ("330102", "330102", "浙江省"),
        ("820000", "82", "澳门特别行政区"),
    ],
)
def test_a_region_is_known_by_its_prefix(region: str, prefix: str, province: str) -> None:
    assert region_prefix(region) == prefix
    assert province_name(region) == province


@pytest.mark.parametrize(
    ("outer", "inner", "inside"),
    [
        ("000000", "330102", True),
        ("000000", "000000", True),
        ("330000", "000000", False),
        ("330000", "330000", True),
        ("330000", "330102", True),
        ("330100", "330102", True),
        ("330100", "330200", False),
        ("330100", "330000", False),
        ("330102", "330103", False),
        ("330000", "340000", False),
    ],
)
def test_a_region_covers_itself_and_what_lies_in_it(outer: str, inner: str, *, inside: bool) -> None:
    assert covers(outer, inner) is inside


@pytest.mark.parametrize("text", ["", "33000", "3300000", "990000", "000001", "33010A", "٣٣٠٠٠٠"])
def test_what_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(CodeRefused):
        parse_region(text)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("XJ01MAZ074B002010102068", ProductKind.WESTERN),
        ("ZA04CCL0299010104118", ProductKind.PATENT_CHINESE),
        ("T" + "0" * 19, ProductKind.GRANULE),
        ("T" + "0" * 17, ProductKind.SLICE),
        ("T000000001", ProductKind.SLICE),
        ("T00001", ProductKind.SLICE),
        ("C0344051070500007551", ProductKind.CONSUMABLE),
        ("C15011121200000107660000016", ProductKind.CONSUMABLE),
        ("ｘj01maz074b002010102068", ProductKind.WESTERN),
    ],
)
def test_a_product_code_tells_its_kind(code: str, kind: ProductKind) -> None:
    assert parse_product(code).kind is kind


@pytest.mark.parametrize(
    "text",
    [
        "XJ01MAZ074B00201010206",
        "XJ01MAZ074B0020101020688",
        "ZA04CCL029901010411",
        "ZA04CCL02990101041188",
        "T" + "0" * 18,
        "T" + "0" * 20,
        "T0000",
        "X",
        "Y0000",
        "C034405107050000755",
        "C03440510705000075511",
        "",
        "C1501112120000010766000001",
        "C150111212000001076600000166",
        "XJ01MAZ074B00201010206-",
        "C034405107050000755A",
    ],
)
def test_what_is_no_product_code_is_refused(text: str) -> None:
    with pytest.raises(CodeRefused):
        parse_product(text)


def test_a_consumable_code_falls_into_its_parts() -> None:
    short = parse_consumable("C0344051070500007551")
    assert (short.class6, short.generic3, short.feature5, short.maker5, short.model7) == (
        "034405", "107", "05000", "07551", None,
    )  # fmt: skip
    long = parse_consumable("c15011121200000107660000016")
    assert (long.class6, long.generic3, long.feature5, long.maker5, long.model7) == (
        "150111", "212", "00000", "10766", "0000016",
    )  # fmt: skip


def test_a_consumable_is_no_drug() -> None:
    with pytest.raises(CodeRefused):
        parse_drug("C0344051070500007551")


@pytest.mark.parametrize("code", ["6291041500213", "00842650000272", "23456785", "6924561884074", "012345678905"])
def test_a_good_gtin_is_padded_to_fourteen_digits(code: str) -> None:
    assert parse_gtin(code).code == code
    assert to_gtin14(code) == "0" * (14 - len(code)) + code


@pytest.mark.parametrize(
    "text", ["6924561884075", "692456188407", "69245618840745", "123456785", "2345678", "692456188407X", ""]
)
def test_a_gtin_of_wrong_length_or_check_digit_is_refused(text: str) -> None:
    with pytest.raises(CodeRefused):
        parse_gtin(text)


@pytest.mark.parametrize(
    ("code", "check_ok"), [("86904879000126", True), ("86901110000020", True), ("86904879000127", False)]
)
def test_a_standard_code_tells_whether_its_check_digit_is_right(code: str, *, check_ok: bool) -> None:
    assert parse_standard(code).check_ok is check_ok


@pytest.mark.parametrize("text", ["8690487900012", "869048790001266", "86804879000126", "8690487900012X"])
def test_what_has_not_the_form_of_a_standard_code_is_refused(text: str) -> None:
    with pytest.raises(CodeRefused):
        parse_standard(text)
