"""Approval numbers: every form of drugs and devices, every contradiction of issuer, word and class."""

import pytest

from shared.codes import ApprovalKind, CodeRefused, Origin, parse_approval

HOME, ABROAD, HMT = Origin.DOMESTIC, Origin.OVERSEAS, Origin.HONG_KONG_MACAO_TAIWAN


@pytest.mark.parametrize(
    ("number", "origin", "year", "province"),
    [
        ("国药准字Z45021428", HOME, 2002, "45"),
        ("国药准字Z10983130", HOME, 1998, None),
        ("国药准字H19990001", HOME, 1999, None),
        ("国药准字H20060647", HOME, 2006, None),
        ("国药准字S20210027", HOME, 2021, None),
        ("国药准字C20210001", HOME, 2021, None),
        ("国药准字B20020001", HOME, 2002, None),
        ("国药准字J20171002", ABROAD, 2017, None),
        ("国药准字HJ20220053", ABROAD, 2022, None),
        ("国药准字SJ20210014", ABROAD, 2021, None),
        ("国药准字ZC20140011", HMT, 2014, None),
    ],
)
def test_a_drug_approval_tells_origin_and_year(number: str, origin: Origin, year: int, province: str | None) -> None:
    parsed = parse_approval(number)
    assert (parsed.number, parsed.kind) == (number, ApprovalKind.DRUG)
    assert (parsed.origin, parsed.year, parsed.issued_by) == (origin, year, province)
    assert parsed.device_class is None


@pytest.mark.parametrize(
    ("number", "origin"),
    [
        ("H20190073", ABROAD),
        ("Z20100008", ABROAD),
        ("BH20020623", ABROAD),
        ("F20171011", ABROAD),
        ("HC20191001", HMT),
        ("ZC20171002", HMT),
        ("SC20150001", HMT),
    ],
)
def test_an_import_certificate_has_no_words_before_it(number: str, origin: Origin) -> None:
    parsed = parse_approval(number)
    assert (parsed.kind, parsed.origin) == (ApprovalKind.DRUG_IMPORT_CERTIFICATE, origin)


@pytest.mark.parametrize(
    ("number", "origin", "device_class", "year"),
    [
        ("国械注准20233400253", HOME, 3, 2023),
        ("国械注准20173134669", HOME, 3, 2017),
        ("国械注准20163400749", HOME, 3, 2016),
        ("国械注进20162222222", ABROAD, 2, 2016),
        ("国械注进20163222222", ABROAD, 3, 2016),
        ("国械注许20193220001", HMT, 3, 2019),
        ("鄂械注准20252185501", HOME, 2, 2025),
        ("黔械注准20182410045", HOME, 2, 2018),
    ],
)
def test_a_device_registration_tells_origin_class_and_year(
    number: str, origin: Origin, device_class: int, year: int
) -> None:
    parsed = parse_approval(number)
    assert (parsed.number, parsed.kind) == (number, ApprovalKind.DEVICE_REGISTRATION)
    assert (parsed.origin, parsed.device_class, parsed.year) == (origin, device_class, year)
    assert parsed.issued_by == number[0]


@pytest.mark.parametrize(
    ("text", "normal", "device_class"),
    [
        ("国械备20151134号", "国械备20151134号", 1),
        ("浙温械备20140027", "浙温械备20140027号", 1),
        ("赣食药监械（准）字2014第2400059号", "赣食药监械(准)字2014第2400059号", 2),
        ("国食药监械(进)字2012第1151234号", "国食药监械(进)字2012第1151234号", 1),
        ("苏泰食药监械(准)字2013第1640059号", "苏泰食药监械(准)字2013第1640059号", 1),
    ],
)
def test_filings_and_old_registrations_have_one_normal_form(text: str, normal: str, device_class: int) -> None:
    parsed = parse_approval(text)
    assert (parsed.number, parsed.device_class) == (normal, device_class)


def test_spaces_width_and_case_do_not_matter() -> None:
    assert parse_approval(" 国药准字 ｈ２０２２３６２８ ").number == "国药准字H20223628"


@pytest.mark.parametrize(
    "text",
    [
        "国械注准20250001",
        "国械注准202326400123",
        "国械注准20232400123",
        "国械注准20231400123",
        "国械注进20231400123",
        "鄂械注准20253185501",
        "鄂械注进20252185501",
        "鄂械注许20252185501",
        "龙械注准20252185501",
        "国械注准19993400123",
        "国械注准20234400123",
        "国械注准202334002531234",
        "国浙械备20140027号",
        "龙械备20140027号",
        "国食药监械(准)字2012第2151234号",
        "赣食药监械(准)字2014第3400059号",
        "赣食药监械(进)字2014第2400059号",
        "苏泰食药监械(准)字2013第2640059号",
    ],
)
def test_a_device_number_that_contradicts_itself_is_refused(text: str) -> None:
    with pytest.raises(CodeRefused):
        parse_approval(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "国药准字H2022362",
        "国药准字H202236288",
        "国药准字A20223628",
        "国药准字BJ20223628",
        "国药准字20223628",
        "H2019007",
        "J20140007",
        "国药准字J2018005",
        "S20180021S20180022",
        "K25",
        "国药准字H2022362٣",
    ],
)
def test_what_is_no_drug_approval_is_refused(text: str) -> None:
    with pytest.raises(CodeRefused):
        parse_approval(text)
