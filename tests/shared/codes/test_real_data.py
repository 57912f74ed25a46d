"""The parsers against registers and orders as they really are, read in place and never copied."""

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from shared.codes import (
    CodeRefused,
    Family,
    classify,
    parse_approval,
    parse_gtin,
    parse_institution,
    parse_product,
    parse_standard,
    parse_uscc,
)

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real data lies beside the repository only")


def column(file: str, name: str) -> list[str]:
    with (DATA / file).open(encoding="utf-8-sig", newline="") as lines:
        return [row[name] for row in csv.DictReader(lines) if row[name] not in ("", r"\N")]


def refusals(parse: Callable[[str], object], codes: Iterable[str]) -> dict[str, str]:
    refused = {}
    for code in codes:
        try:
            parse(code)
        except CodeRefused as refusal:
            refused[code] = refusal.rule
    return refused


@pytest.mark.parametrize("file", ["catalogue_listing.csv", "transactions.csv"])
def test_every_real_drug_code_parses(file: str) -> None:
    codes = column(f"procurement_sample/{file}", "医保药品代码")
    assert codes
    assert refusals(parse_product, codes) == {}


def test_every_real_institution_code_parses() -> None:
    assert refusals(parse_institution, column("procurement_sample/institutions.csv", "医疗机构代码")) == {}


@pytest.mark.parametrize("name", ["生产企业代码", "配送企业代码"])
def test_real_credit_codes_pass_and_only_the_spreadsheets_damage_is_refused(name: str) -> None:
    codes = column("procurement_sample/transactions.csv", name)
    refused = refusals(parse_uscc, codes)
    assert set(refused.values()) == {"looks like a number changed by a spreadsheet"}
    assert all("e+" in code for code in refused)
    assert all(parse_uscc(code).check_ok for code in set(codes) - set(refused))


def test_every_listed_approval_number_parses() -> None:
    assert refusals(parse_approval, column("procurement_sample/catalogue_listing.csv", "批准文号")) == {}


@pytest.mark.parametrize("file", ["imported_drugs_2019.csv", "imported_drugs_2020.csv"])
def test_registered_imports_parse_but_for_numbers_cut_short_or_run_together(file: str) -> None:
    refused = refusals(parse_approval, column(f"nmpa_registry/{file}", "批准文号/注册证号"))
    assert all(len(number) in (len("国药准字J2018005"), len("S20180021S20180022")) for number in refused)
    assert len(refused) == 7


@pytest.mark.parametrize("file", ["nmpa_names_国内S.jsonl", "nmpa_names_进口H.jsonl", "nmpa_names_进口S.jsonl"])
def test_registered_approval_numbers_parse(file: str) -> None:
    lines = (DATA / "nmpa_registry" / file).read_text(encoding="utf-8").splitlines()
    refused = refusals(parse_approval, (json.loads(line)["code"] for line in lines))
    assert set(refused) <= {"S20180021S20180022"}


@pytest.mark.parametrize(("file", "failing"), [("imported_drugs_2019.csv", 11), ("imported_drugs_2020.csv", 49)])
def test_the_register_itself_holds_standard_codes_that_fail_their_check(file: str, failing: int) -> None:
    codes = column(f"nmpa_registry/{file}", "药品本位码")
    refused = refusals(parse_standard, codes)
    assert all("；" in code for code in refused)
    assert sum(not parse_standard(code).check_ok for code in codes if code not in refused) == failing


def test_real_device_identifiers_trace_codes_and_registrations_parse() -> None:
    devices = "udi_and_trace_codes/udi_di_samples.csv"
    assert refusals(parse_gtin, column(devices, "udi_di")) == {}
    assert refusals(parse_approval, column(devices, "registration_no")) == {}
    codes = column("udi_and_trace_codes/drug_trace_code_samples.csv", "code")
    assert [classify(code).family for code in codes] == [Family.MSFX20]
