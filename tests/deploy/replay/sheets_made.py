"""Invented sheets of trade with every dirty thing that real ones have, as two CSV files or as one workbook."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from openpyxl import Workbook, load_workbook
from stdnum.cn import uscc

CATALOGUE_COLUMNS = [
    "医保药品代码",
    "通用名",
    "商品名",
    "剂型",
    "规格",
    "最小包装单位名称",
    "包装数量",
    "批准文号",
    "上市许可证持有人名称",
    "生产企业名称",
    "代理企业名称",
    "挂网价格",
    "项目来源",
    "价格生成方式",
    "区划代码",
    "挂网时间",
]
TRADE_COLUMNS = [
    "省份代码",
    "市代码",
    "医保药品代码",
    "医疗机构代码",
    "医疗机构名称",
    "医院等级",
    "订单明细代码",
    "订单时间",
    "采购数量",
    "采购价格",
    "采购金额",
    "配送企业代码",
    "配送企业名称",
    "配送数量",
    "配送金额",
    "收货数量",
    "收货金额",
    "结算金额",
    "结算数量",
    "代理企业代码",
    "代理企业名称",
    "生产企业代码",
    "生产企业名称",
]
RANDOM = ("采购数量", "采购价格", "配送数量", "配送金额", "收货数量", "收货金额", "结算金额", "结算数量")

PILLS, SYRUP, DROPS, UNPRICED = (
    "XA10BAE037A001010100001",
    "XR05CBA198A001010300002",
    "ZA04CCL0299010104003",
    "ZA17AAD0120010401004",
)
DAMAGED = "9.13301007043059e+17"
FIRST, SECOND = "H33010200991", "H33020300992"


def code(body: str) -> str:
    """A credit code of 17 characters with its check digit."""
    return body + uscc.calc_check_digit(body)


CARRIER, AGENT = code("91330100MA2TXY101"), code("91330200MA2TXY202")

CATALOGUE: list[dict[str, str]] = [
    {"医保药品代码": PILLS, "通用名": "青禾片", "挂网价格": "12.5", "项目来源": "甲", "包装数量": "20"},
    {"医保药品代码": PILLS, "通用名": "青禾片", "挂网价格": "12.5", "项目来源": "乙", "包装数量": "20"},
    {"医保药品代码": SYRUP, "通用名": "白露糖浆", "挂网价格": "0.37", "生产企业名称": "白露制药(东禾)有限公司"},
    {"医保药品代码": DROPS, "通用名": "清明滴丸", "挂网价格": "1.84", "价格生成方式": "国家组织药品集中带量采购"},
    {"医保药品代码": UNPRICED, "通用名": "无价散", "挂网价格": "", "价格生成方式": "其他"},
]
_CATALOGUE_REST = {
    "商品名": "无",
    "剂型": "片剂",
    "规格": "0.5g",
    "最小包装单位名称": "盒",
    "包装数量": "1",
    "批准文号": "国药准字H20060001",
    "生产企业名称": "青禾制药有限公司",
    "代理企业名称": "青禾制药有限公司",
    "项目来源": "挂网",
    "价格生成方式": "非集采、谈判药品正常挂网",
    "区划代码": "330000",
    "挂网时间": "2023-05-01 00:00:00",
}
_TRADE_REST = {
    "省份代码": "330000",
    "市代码": "330100",
    "医疗机构代码": FIRST,
    "医疗机构名称": "东禾市第一医院",
    "医院等级": "三级甲等",
    "配送企业代码": CARRIER,
    "配送企业名称": "东禾医药（浙江）有限公司",
    "代理企业代码": AGENT,
    "代理企业名称": "白露商贸有限公司",
    "生产企业代码": AGENT,
    "生产企业名称": "Bailu Pharma A/S",
}


def _line(number: str, at: str, product: str, yuan: str, **others: str) -> dict[str, str]:
    return {"订单明细代码": number, "订单时间": at, "医保药品代码": product, "采购金额": yuan, **others}


_OTHER = {"市代码": "330200", "医疗机构代码": SECOND, "医疗机构名称": "西禾县医院", "医院等级": "无等级"}
_DAMAGED = {"配送企业代码": DAMAGED, "配送企业名称": "北禾医药有限公司"}
TRADE: list[dict[str, str]] = [
    _line("A1", "2022-08-01 09:00:00", PILLS, "125"),
    _line("A1", "2022-08-01 09:00:00", SYRUP, "3.7"),
    _line("A1", "2022-08-01 09:00:00", DROPS, "18.4", **_DAMAGED),
    _line("A1", "2022-08-01 09:00:00", PILLS, "125"),  # row 5: repeated
    _line("A1", "2022-08-01 09:30:00", SYRUP, "3.7", **_OTHER),  # the same number at another hospital
    _line("A2", "2022-08-01 10:00:01", UNPRICED, "50"),  # row 7: listed without a price
    _line("A3", "2022-08-01 11:00:00", "XZ99ZZZ999A001010199999", "1.5"),  # row 8: in no catalogue
    _line("A4", "2022-08-02 08:00:00", PILLS, "130"),  # row 9: 10.4 sale units
    _line("A4", "2022-08-02 08:00:00", SYRUP, "1"),  # row 10: 100/37 sale units
    _line("A4", "2022-08-02 08:00:00", DROPS, "184"),  # what is left of the order
    _line("A5", "2022-08-02 08:00:00", PILLS, "12.5", 医疗机构名称="东禾市第一医院  东院区"),
    _line("A6", "2022-08-02 09:00:00", PILLS, "12.5", 医疗机构名称="东禾市第一医院 东院区"),
    _line("A7", "2022-08-03 09:00:00", PILLS, "12.5", 配送企业名称="东禾医药(浙江)有限公司 "),
    _line("A8", "2022-08-03 09:00:00", DROPS, "1.84", **_OTHER, **_DAMAGED),
    _line("A9", "2022-08-31 23:59:59", PILLS, "50000"),  # 4,000 codes: two bills
    *(_line(f"B{n}", f"2022-08-{4 + n:02} 1{n % 10}:00:00", PILLS, f"{12.5 * n}", **_OTHER) for n in range(1, 11)),
    _line("C1", "2023-02-01 00:00:00", SYRUP, "37"),
    _line("C1", "2023-02-01 00:00:00", SYRUP, "3.7"),  # the same product twice in one order
    _line("C2", "2023-02-28 12:00:00", DROPS, "18.4", **_DAMAGED),
    _line("C3", "不是时间", DROPS, "18.4"),  # row 30: no time
    _line("C4", "2023-02-28 13:00:00", SYRUP, "37000037"),  # row 31: more than the platform takes at once
    _line("C4", "2023-02-28 13:00:00", DROPS, "18.4"),
]
OVERDUE = 9
"""Lines accepted on the first three days of August: their thirty days are over before September's payment on the third."""
TOO_MANY = 100_000_100
"""Sale units of the line that the platform refuses."""
ROWS, LINES, ORDERS = 31, 25, 21
REFUSED = {"repeated": 1, "unlisted": 2, "quantity": 2, "faulty": 1}
UNITS = 10 + 10 + 10 + 10 + 100 + 1 + 1 + 1 + 1 + 4000 + 55 + 100 + 10 + 10 + 10
"""Without those of the line that the platform refuses."""


def catalogue_rows() -> list[list[str]]:
    """The cells under the header."""
    return [[({**_CATALOGUE_REST, **row}).get(name, "") for name in CATALOGUE_COLUMNS] for row in CATALOGUE]


def trade_rows(random: Mapping[str, str] | None = None) -> list[list[str]]:
    """The cells under the header; `random` fills the columns that the publisher randomised, other in each row."""
    rows: list[list[str]] = []
    for place, row in enumerate(TRADE):
        whole = {**_TRADE_REST, **row}
        if random is not None:
            whole |= {name: str(place * 7 % 100) for name in RANDOM}
        rows.append([whole.get(name, "") for name in TRADE_COLUMNS])
    return rows


def write_csv(folder: Path) -> Path:
    """Both sheets as CSV in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "catalogue_listing.csv", [CATALOGUE_COLUMNS, *catalogue_rows()])
    _write(folder / "transactions.csv", [TRADE_COLUMNS, *trade_rows()])
    return folder


def _write(path: Path, rows: Iterable[Iterable[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def write_workbook(path: Path) -> Path:
    """Both sheets in a workbook, with random numbers where the publisher has formulas, and \\N for nothing."""
    book = Workbook()
    pages = (("目录", CATALOGUE_COLUMNS, catalogue_rows()), ("交易", TRADE_COLUMNS, trade_rows(random={})))
    for name, header, rows in pages:
        page = book.create_sheet(name)
        page.append(list(header))
        for row in rows:
            page.append([cell or "\\N" for cell in row])
    del book[book.sheetnames[0]]
    book.save(path)
    return path


def write_part(workbook: Path, path: Path, rows: int) -> Path:
    """A workbook like another, with the first of its trade: numbers that Excel has spoilt stay as it spoilt them."""
    whole, part = load_workbook(workbook, read_only=True, data_only=True), Workbook(write_only=True)
    for name, most in (("目录", None), ("交易", rows + 1)):
        page = part.create_sheet(name)
        for row in whole[name].iter_rows(values_only=True, max_row=most):
            page.append(row)
    part.save(path)
    return path


_OTHER_CATALOGUE = """\
序号,产品编码,品名,规格型号,计价单位,每盒数量,生产厂家,挂网单价（元）,采购类型,地区
1,xa10bae037a001010100001,青禾片,0.5g,盒,20,青禾制药有限公司,12.50,集采,河西省
2,XR05CBA198A001010300002,白露糖浆,100ml,瓶,1,青禾制药有限公司,0.37,挂网,河西省
"""
_OTHER_TRADE = """\
下单时间,采购单号,供货商,供货商信用代码,医院,医院编码,设区市,药品编码,数量,金额(元),备注
2025/03/01 08:30:00,DD-1,东禾医药有限公司,{carrier},河西医院,H62010200001,河西市,XA10BAE037A001010100001,10,125.00,
2025-03-01 08:30:00,DD-1,西禾医药有限公司,-,河西医院,H62010200001,河西市,XR05CBA198A001010300002,10,3.70,急
2025-03-02 10:00:00,DD-2,西禾医药有限公司,-,河西医院,H62010200001,河西市,XR05CBA198A001010300002,5,1.80,
2025年3月3日 9:00:00,DD-3,东禾医药（河西）公司,{carrier},河西医院  南院区,H62010200001,河西市,XR05CBA198A001010300002,100,37.00,
"""
_OTHER_POLICY = "".join(
    f'[[value]]\nkey = "{key}"\nvalue = {value}\nregion = "620000"\nfrom = 2025-01-01\nto = 2025-12-31\nsource = "invented"\n\n'
    for key, value in (
        ("listing.notice_required", "false"),
        ("listing.provisional_enterprises_list", "true"),
        ("orders.provisional_enterprises_trade", "true"),
        ("settlement.codes_required", "true"),
    )
)
_OTHER_MAPPING = """\
policy = "hexi.policy.toml"

[catalogue]
file = "目录.csv"

[catalogue.columns]
product_code = { column = "产品编码", derive = ["upper"] }
generic_name = "品名"
specification = "规格型号"
unit = "计价单位"
units_per_pack = "每盒数量"
manufacturer_name = "生产厂家"
price_yuan = "挂网单价(元)"
category = { column = "采购类型", values = { "集采" = "national_vbp", "挂网" = "direct" } }
region = { column = "地区", values = { "河西省" = "620000" } }
valid_from = { value = "2025-01-01", why = "the sheet has no date" }

[trade]
file = "订单.csv"

[trade.columns]
province = { value = "620000", why = "every row is of one province" }
region = { column = "设区市", values = { "河西市" = "620100" } }
product_code = "药品编码"
institution_code = "医院编码"
institution_name = { column = "医院", derive = ["normal_spaces"] }
order_number = "采购单号"
ordered_at = "下单时间"
amount_yuan = "金额（元）"
quantity = "数量"
distributor_code = { column = "供货商信用代码", null = ["-"] }
distributor_name = "供货商"
"""


def write_other_province(folder: Path) -> Path:
    """Sheets of another form, in GB18030, with a quantity of their own; `hexi.toml`, the mapping that reads them, and the
    policy that it names."""
    (folder / "目录.csv").write_text(_OTHER_CATALOGUE, encoding="gb18030")
    (folder / "订单.csv").write_text(_OTHER_TRADE.format(carrier=CARRIER), encoding="gb18030")
    (folder / "hexi.toml").write_text(_OTHER_MAPPING, encoding="utf-8")
    (folder / "hexi.policy.toml").write_text(_OTHER_POLICY, encoding="utf-8")
    return folder
