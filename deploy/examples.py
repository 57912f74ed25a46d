"""An example of each event, made from its class: whole, as it travels, and the same on every machine."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from msgspec import inspect

from shared.envelope import seal
from shared.events import Event

SAID_AT = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
USCC = "91330100000000001C"
"""Stands for every enterprise: a code in the form of GB 32100."""
WORDS = {
    "uscc": USCC,
    "opened_by": USCC,
    "institution_code": "H33010200059",
    "institution_name": "青禾市第一医院",
    "delivery_point": "东院区药库",
    "region": "330100",
    "name": "青禾制药有限公司",
    "grade": "三级甲等",
    "manufacturer_name": "青禾制药有限公司",
    "holder_name": "青禾制药有限公司",
    "distributor_name": "青禾医药配送有限公司",
    "opened_by_name": "青禾制药有限公司",
    "product_code": "XN02BEA005A001010101594",
    "product_name": "对乙酰氨基酚片",
    "generic_name": "对乙酰氨基酚片",
    "trade_name": "青宁",
    "dosage_form": "片剂",
    "specification": "0.5g*12片",
    "approval_number": "国药准字H20260001",
    "gtin": "06901234567892",
    "unit": "盒",
    "lot_number": "20260115",
    "batch_code": "2025-07",
    "order_number": "CG20260105-0001",
    "shipment_number": "PS20260106-0007",
    "bill_number": "RK20260302-0003",
    "code": "81234567890123456789",
    "about_id": "30344503-3718-5e2b-91e6-1aa77bc46a03",
    "captured_by": "chen.li",
    "reason": "厂家暂时缺货",
    "disputed": "收到的数量与结算单不符",
    "detail": "应于 2026-03-02 前确认，至今未确认",
    "note": "已联系厂家，三日内补货",
    "finding": "条码重复上传，已核实",
}
SAID: dict[str, dict[str, Any]] = {
    "EnterpriseRegistered": {"aliases": ["青禾制药"]},
    "InstitutionRegistered": {"name": "青禾市第一医院", "aliases": ["青禾一院"]},
    "DeliveryPoint": {"name": "东院区药库"},
    "ProductPriceChanged": {"reason": "联动全国最低价"},
    "ProductSuspended": {"reason": "质量抽检待复核"},
    "ProductResumed": {"reason": "抽检合格"},
    "ProductDelisted": {"reason": "批次采购期满"},
    "DistributionEnded": {"reason": "配送协议到期"},
    "OrderCancelled": {"reason": "重复下单"},
    "LineClosed": {"reason": "fulfilled"},
    "ShipmentCancelled": {"reason": "车辆故障，另行发货"},
    "RejectedLine": {"reason": "外包装破损"},
    "PayableHeld": {"reason": "收到的数量与结算单不符"},
    "SheetDisputed": {"reason": "收到的数量与结算单不符"},
    "SheetReturned": {"reason": "发票金额不符"},
    "PaymentFailed": {"reason": "收款账户户名不符"},
    "AlertResolved": {"reason": "Every line was confirmed, refused or taken back."},
    "RecallOpened": {"reason": "含量测定不合格"},
    "CodeFlagged": {"detail": "此码已在 H33010200061 入库"},
    "ProblemAssigned": {"state": "assigned"},
    "ProblemReplied": {"state": "party_replied"},
    "ProblemResolved": {"state": "resolved"},
    "ProblemEscalated": {"state": "escalated"},
    "ProblemConfirmed": {"state": "confirmed_by_reporter"},
    "ProblemClosed": {"state": "closed"},
}
"""What a class says in a field that others use for something else."""


def example(contract: type[Event]) -> bytes:
    """The bytes of one event of this class."""
    fact = fact_of(contract, contract.TYPE)
    return seal(
        event_id=uuid5(NAMESPACE_URL, contract.TYPE),
        source="/" + contract.TYPE.split(".")[2],
        event_type=contract.TYPE,
        subject=str(getattr(fact, contract.SUBJECT)),
        time=SAID_AT,
        sequence=1,
        data=fact,
        request_id="0197a0f0-9a3c-7d41-8a51-5d1d6b1c2f10",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )


def fact_of(contract: type[Event], world: str) -> Event:
    """A fact of this class; all of one world speak of the same things, for ids follow from the names of their fields."""
    return msgspec.convert(_value(inspect.type_info(contract), "", world), contract, strict=False)


def _value(kind: inspect.Type, name: str, seed: str) -> Any:
    """A value of this type; `name` is the field's, and says what kind of text would stand there."""
    match kind:
        case inspect.StructType():
            own = SAID.get(kind.cls.__name__, {})
            return {field.name: own.get(field.name) or _value(field.type, field.name, seed) for field in kind.fields}
        case inspect.Metadata():
            return ((kind.extra_json_schema or {}).get("examples") or [_value(kind.type, name, seed)])[0]
        case inspect.UnionType():
            return _value(next(one for one in kind.types if not isinstance(one, inspect.NoneType)), name, seed)
        case inspect.VarTupleType():
            return [_value(kind.item_type, name.removesuffix("s"), seed)]
    return _plain(kind, name, seed)


def _plain(kind: inspect.Type, name: str, seed: str) -> Any:
    plain: dict[type[inspect.Type], Any] = {
        inspect.StrType: word_of(name),
        inspect.IntType: 20,
        inspect.BoolType: True,
        inspect.DecimalType: Decimal("12.50"),
        inspect.UUIDType: id_of(name, seed),
        inspect.DateType: date(2026, 3, 1 if name == "month" else 31),
        inspect.DateTimeType: SAID_AT,
    }
    return plain[type(kind)]


def word_of(name: str) -> str:
    """What stands in a text of this name."""
    if name in WORDS:
        return WORDS[name]
    return USCC if name.endswith("_code") else name.replace("_", " ")


def id_of(name: str, seed: str) -> UUID:
    """What stands in an id of this name."""
    return uuid5(uuid5(NAMESPACE_URL, seed), name)
