"""What the sheets come to: readers and rules, on an invented sheet with every dirty thing, as CSV and as workbook."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from deploy.replay import refused
from deploy.replay.codes import codes_of, idents
from deploy.replay.mapping import SHIPPED, load
from deploy.replay.plan import Plan, SheetsRefused, read, yuan_of
from deploy.replay.sheets import by_reason
from shared.imports import SheetRefused, open_sheet
from tests.deploy.replay import sheets_made as made


@pytest.fixture(scope="module", params=["csv", "xlsx"])
def plan(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("sheets")
    data = made.write_csv(folder) if request.param == "csv" else made.write_workbook(folder / "样例.xlsx")
    return read(data, load())


def test_every_row_and_every_fen_is_ordered_or_refused(plan: Plan) -> None:
    assert (plan.trade.count, len(plan.trade.rows)) == (made.ROWS, made.LINES)
    assert by_reason(plan.trade.refused) == made.REFUSED
    ordered = sum(line.amount_yuan for order in plan.orders for line in order.lines)
    assert plan.trade.yuan == ordered + yuan_of(plan.trade.refused)
    assert sum(line.quantity for order in plan.orders for line in order.lines) == made.UNITS + made.TOO_MANY


@pytest.mark.parametrize(
    ("row", "reason", "rule"),
    [
        (5, "repeated", "equal to row 2 in every column"),
        (7, "unlisted", "no row of the catalogue has this code with a price"),
        (8, "unlisted", "no row of the catalogue has this code with a price"),
        (9, "quantity", "not a whole number of sale units at the listed price 12.5"),
        (10, "quantity", "not a number of sale units at the listed price 0.37"),
        (30, "faulty", "not a date"),
    ],
)
def test_a_refused_row_says_its_number_and_reason(plan: Plan, row: int, reason: str, rule: str) -> None:
    (found,) = (one for one in plan.trade.refused if one.number == row)
    assert (found.reason, found.by, found.faults[0].row) == (reason, "importer", row)
    assert found.faults[0].rule.startswith(rule)


def test_rows_of_one_institution_and_number_are_one_order_whatever_the_drug(plan: Plan) -> None:
    assert len(plan.orders) == made.ORDERS
    orders = {order.key: order for order in plan.orders}
    assert [line.row for line in orders[made.FIRST, "A1"].lines] == [2, 3, 4]
    assert [line.row for line in orders[made.SECOND, "A1"].lines] == [6]
    assert [line.row for line in orders[made.FIRST, "A4"].lines] == [11]
    assert [line.quantity for line in orders[made.FIRST, "C1"].lines] == [100, 10]
    assert [order.ordered_at for order in plan.orders] == sorted(order.ordered_at for order in plan.orders)


def test_catalogue_rows_are_merged_or_not_listed(plan: Plan) -> None:
    assert plan.catalogue.merged == [(3, 2)]
    assert [(row.number, why) for row, why in plan.catalogue.unlisted] == [(6, "no price")]
    assert plan.catalogue.prices == {
        made.PILLS: Decimal("12.5"),
        made.SYRUP: Decimal("0.37"),
        made.DROPS: Decimal("1.84"),
    }
    row = plan.catalogue.listed[made.DROPS]
    assert (row.category, str(row.valid_from), str(row.published_on)) == ("national_vbp", "2022-01-01", "2023-05-01")


def test_a_damaged_code_is_never_a_key(plan: Plan) -> None:
    known = {one.key: one for one in plan.enterprises}
    assert known["北禾医药有限公司"].uscc is None
    assert made.DAMAGED not in known
    assert plan.rows_of_provisional == 3


def test_one_code_with_several_names_is_one_enterprise(plan: Plan) -> None:
    known = {one.key: one for one in plan.enterprises}
    assert known[made.CARRIER].names == ("东禾医药（浙江）有限公司",)
    assert known[made.AGENT].names == ("白露商贸有限公司", "Bailu Pharma A/S")


def test_a_maker_has_a_code_only_where_a_row_has_exactly_its_name(plan: Plan) -> None:
    assert plan.enterprises.maker_of("Bailu  Pharma A/S") == made.AGENT
    assert plan.enterprises.maker_of("青禾制药有限公司") == "青禾制药有限公司"


def test_names_of_an_institution_are_its_delivery_points(plan: Plan) -> None:
    first = plan.institutions[made.FIRST]
    assert (first.name, first.others, first.region) == ("东禾市第一医院", ("东禾市第一医院 东院区",), "330100")
    assert plan.institutions[made.SECOND].grade is None


def test_each_unit_has_a_code_of_its_own(plan: Plan) -> None:
    ident = idents(plan.catalogue.listed)
    lines = [line for order in plan.orders for line in order.lines if line.quantity != made.TOO_MANY]
    codes = [code for line in lines for code in codes_of(line, ident)]
    assert len(codes) == len(set(codes)) == made.UNITS
    assert {(len(code), code[0], code.isdigit()) for code in codes} == {(20, "8", True)}


def test_refused_rows_go_back_as_a_sheet(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "refused.csv"
    assert refused.write(path, plan, plan.trade.refused) == sum(made.REFUSED.values())
    with open_sheet(path) as sheet:
        reason, by = (sheet.header.index(name) for name in refused.REASON_COLUMNS[:2])
        said = [(row.cells[reason], row.cells[by]) for row in sheet]
    assert said == [(one, "importer") for one in ["repeated", "unlisted", "unlisted", "quantity", "quantity", "faulty"]]
    assert refused.write_catalogue(tmp_path / "catalogue.csv", plan) == 2


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace('"订单时间"', '"下单时间"'), "下单时间"),
        (lambda text: text.replace('derive = "divide"', 'derive = "guess"'), "guess"),
        (lambda text: text.replace("[trade]", "[traed]"), "traed"),
        (lambda text: text.replace("amount_yuan = ", "amount = "), "amount_yuan"),
    ],
)
def test_a_mapping_that_is_not_understood_is_refused_by_name(spoil: Any, said: str, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(spoil(SHIPPED.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises((SheetRefused, SheetsRefused)) as refusal:
        read(made.write_csv(tmp_path / "sheets"), load(mapping))
    assert said in str(refusal.value)


def test_another_province_s_sheets_need_a_mapping_and_no_code(tmp_path: Path) -> None:
    plan = read(made.write_other_province(tmp_path), load(tmp_path / "hexi.toml"))
    assert (plan.region, plan.trade.count, plan.trade.yuan) == ("620000", 4, Decimal("167.50"))
    assert [(order.key, order.region, str(order.ordered_at)) for order in plan.orders] == [
        (("H62010200001", "DD-1"), "620100", "2025-03-01 08:30:00+08:00"),
        (("H62010200001", "DD-3"), "620100", "2025-03-03 09:00:00+08:00"),
    ]
    assert plan.institutions["H62010200001"].others == ("河西医院 南院区",)
    assert [(line.product_code, line.quantity) for line in plan.orders[0].lines] == [(made.PILLS, 10), (made.SYRUP, 10)]
    assert {one.key for one in plan.enterprises} == {made.CARRIER, "西禾医药有限公司", "青禾制药有限公司"}
    (other_price,) = plan.trade.refused
    assert (other_price.number, other_price.reason) == (4, "quantity")
    assert other_price.faults[0].rule == "5 sale units at the listed price 0.37 are 1.85 yuan"


def test_a_folder_without_sheets_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SheetsRefused, match=r"catalogue_listing\.csv"):
        read(tmp_path, load())
