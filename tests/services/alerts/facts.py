"""Facts of the other services as the tests of alerts tell them: one hospital, one distributor, one product, one day."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from uuid_utils.compat import uuid7

from shared import clock
from shared.events import Event
from shared.events.orders import (
    AcceptedLine,
    DeliveryAccepted,
    DeliveryRejected,
    LineClosed,
    LineConfirmed,
    LineRefused,
    OrderCancelled,
    OrderedLine,
    OrderPlaced,
    RejectedLine,
    ShipmentCancelled,
    ShipmentDispatched,
    ShippedLine,
)
from shared.events.settlement import (
    PaidLine,
    PayableHeld,
    PayableOpened,
    PayableReleased,
    PaymentDoubted,
    PaymentFailed,
    PaymentPaid,
    PaymentSent,
    ReceivingAccountChanged,
    SheetConfirmed,
    SheetDisputed,
    SheetIssued,
    SheetReturned,
)
from shared.events.traceability import (
    CodeCleared,
    CodeFlagged,
    CoverageShort,
    CoverageVerified,
    RecallClosed,
    RecallOpened,
)
from shared.inbox import Received

HOSPITAL, OTHER_HOSPITAL = "H33010200059", "H33010200060"
SUPPLIER, OTHER_SUPPLIER = "91330100MA27XYXY10", "91330100MA28ABAB20"
REGION = "330100"
PRODUCT, OTHER_PRODUCT = "XA02BCA214B002010100001", "XA02BCA214B002010100002"
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
"""A Monday, noon in Shanghai."""
CONFIRM_BY = NOON + timedelta(hours=24)
DELIVER_BY = NOON + timedelta(hours=72)
DUE_ON = date(2026, 4, 1)
CONFIRM_SHEET_BY = date(2026, 4, 5)


def made(fact: type[Any], /, **fields: Any) -> Any:
    """A fact of this type: the fields, and for the rest what all facts here have in common."""
    common = {
        "institution_code": HOSPITAL,
        "institution_name": "市第一医院",
        "distributor_code": SUPPLIER,
        "distributor_name": "医药公司",
        "manufacturer_code": "91330100MA29CDCD30",
        "region": REGION,
        "order_number": "CG-1",
        "product_code": PRODUCT,
        "product_kind": "western",
        "product_name": "奥美拉唑肠溶胶囊",
        "unit": "盒",
        "delivery_point": None,
    }
    names = fact.__struct_fields__
    return fact(**{name: value for name, value in common.items() if name in names} | fields)


ACCOUNT = uuid7()


class Story:
    """One order of one line on its way from placing to payment; every id is known from the start."""

    def __init__(self, quantity: int = 10, order_number: str = "CG-1", product_code: str = PRODUCT) -> None:
        self.order_id, self.line_id, self.shipment_id, self.shipment_line_id = uuid7(), uuid7(), uuid7(), uuid7()
        self.payable_id, self.sheet_id, self.receipt_id = uuid7(), uuid7(), uuid7()
        self.quantity, self.order_number, self.product_code = quantity, order_number, product_code

    def line(self, line_id: UUID | None = None, supplier: str = SUPPLIER, number: int = 1) -> OrderedLine:
        return made(
            OrderedLine,
            line_id=line_id or self.line_id,
            line_number=number,
            listing_id=uuid7(),
            product_code=self.product_code,
            quantity=self.quantity,
            unit_price_yuan=Decimal("12.3400"),
            amount_yuan=Decimal("123.40"),
            distributor_code=supplier,
        )

    def placed(self, *lines: OrderedLine) -> OrderPlaced:
        return made(
            OrderPlaced,
            order_id=self.order_id,
            order_number=self.order_number,
            placed_at=NOON,
            confirm_by=CONFIRM_BY,
            lines=lines or (self.line(),),
        )

    def _of_line(self, kind: type[Any], **fields: Any) -> Any:
        told = {
            "order_id": self.order_id,
            "line_id": self.line_id,
            "order_number": self.order_number,
            "product_code": self.product_code,
            "quantity_ordered": self.quantity,
        }
        return made(kind, **(told | fields))

    def confirmed(self, quantity: int | None = None, **fields: Any) -> LineConfirmed:
        return self._of_line(
            LineConfirmed, quantity_confirmed=quantity or self.quantity, deliver_by=DELIVER_BY, **fields
        )

    def refused(self, **fields: Any) -> LineRefused:
        return self._of_line(LineRefused, **({"quantity_refused": self.quantity, "reason": "停产"} | fields))

    def closed(self) -> LineClosed:
        return self._of_line(LineClosed, quantity_accepted=0, quantity_unfulfilled=self.quantity, reason="不再需要")

    def cancelled(self, *line_ids: UUID) -> OrderCancelled:
        return made(
            OrderCancelled,
            order_id=self.order_id,
            order_number=self.order_number,
            line_ids=line_ids or (self.line_id,),
            reason="改用备供",
        )

    def accepted(self, quantity: int | None = None, lot: str = "L1", **fields: Any) -> DeliveryAccepted:
        line = made(
            AcceptedLine,
            shipment_line_id=fields.pop("shipment_line_id", self.shipment_line_id),
            order_line_id=self.line_id,
            product_code=self.product_code,
            lot_number=lot,
            expires_on=date(2028, 1, 1),
            quantity_accepted=self.quantity if quantity is None else quantity,
            unit_price_yuan=Decimal("12.3400"),
        )
        told = {"shipment_id": self.shipment_id, "order_id": self.order_id, "order_number": self.order_number}
        return made(DeliveryAccepted, accepted_at=NOON, lines=(line,), **(told | fields))

    def dispatched(self, quantity: int) -> ShipmentDispatched:
        line = made(
            ShippedLine,
            shipment_line_id=self.shipment_line_id,
            order_line_id=self.line_id,
            product_code=self.product_code,
            lot_number="L1",
            produced_on=date(2025, 1, 1),
            expires_on=date(2028, 1, 1),
            quantity=quantity,
        )
        return self._of_shipment(ShipmentDispatched, shipment_number="S-1", dispatched_at=NOON, lines=(line,))

    def rejected(self, quantity: int) -> DeliveryRejected:
        line = RejectedLine(
            shipment_line_id=self.shipment_line_id,
            order_line_id=self.line_id,
            product_code=self.product_code,
            lot_number="L1",
            quantity_rejected=quantity,
            reason="破损",
        )
        return self._of_shipment(DeliveryRejected, rejected_at=NOON, lines=(line,))

    def called_back(self) -> ShipmentCancelled:
        lines = (self.shipment_line_id,)
        return self._of_shipment(ShipmentCancelled, shipment_number="S-1", shipment_line_ids=lines, reason="地址有误")

    def shipment(self) -> "Story":
        """Another shipment of the same line."""
        other = Story(self.quantity, self.order_number, self.product_code)
        other.order_id, other.line_id = self.order_id, self.line_id
        return other

    def _of_shipment(self, kind: type[Any], **fields: Any) -> Any:
        return made(kind, shipment_id=self.shipment_id, order_id=self.order_id, **fields)

    def _of_receipt(self, kind: type[Any], **fields: Any) -> Any:
        told = {
            "shipment_line_id": self.shipment_line_id,
            "order_id": self.order_id,
            "order_line_id": self.line_id,
            "product_code": self.product_code,
        }
        return made(kind, **({k: v for k, v in told.items() if k in kind.__struct_fields__} | fields))

    def opened(self, codes_required: bool = True, amount: str = "123.40") -> PayableOpened:
        return self._of_receipt(
            PayableOpened,
            payable_id=self.payable_id,
            shipment_id=self.shipment_id,
            quantity=self.quantity,
            amount_yuan=Decimal(amount),
            accepted_at=NOON,
            due_on=DUE_ON,
            codes_required=codes_required,
        )

    def released(self, quantity: int | None = None, uncovered: int = 0, **more: Any) -> PayableReleased:
        quantity = self.quantity if quantity is None else quantity
        return self._of_receipt(
            PayableReleased,
            payable_id=self.payable_id,
            quantity_released=quantity,
            amount_released_yuan=Decimal("12.34") * quantity,
            complete=quantity == self.quantity,
            quantity_uncovered=uncovered,
            **more,
        )

    def covered(self) -> CoverageVerified:
        return self._of_receipt(
            CoverageVerified,
            receipt_id=self.receipt_id,
            quantity_accepted=self.quantity,
            quantity_covered=self.quantity,
            verified_at=clock.now(),
        )

    def short(self, quantity: int) -> CoverageShort:
        return self._of_receipt(
            CoverageShort, receipt_id=self.receipt_id, quantity_accepted=self.quantity, quantity_covered=quantity
        )

    def paid(self, amount: str = "123.40", step: int = 0, **fields: Any) -> PaymentPaid:
        line = self._of_receipt(PaidLine, payable_id=self.payable_id, amount_yuan=Decimal(amount), step=step)
        told = {"payment_id": uuid7(), "run_id": uuid7(), "sheet_id": self.sheet_id}
        return made(PaymentPaid, amount_yuan=Decimal(amount), paid_at=clock.now(), lines=(line,), **(told | fields))

    def failed(self, **fields: Any) -> PaymentFailed:
        return self._of_payment(PaymentFailed, **({"reason": "账户不存在"} | fields))

    def sent(self) -> PaymentSent:
        return self._of_payment(PaymentSent, sent_at=clock.now(), month=date(2026, 3, 1))

    def doubted(self, in_doubt: bool) -> PaymentDoubted:
        return self._of_payment(PaymentDoubted, in_doubt=in_doubt, month=date(2026, 3, 1))

    def _of_payment(self, kind: type[Any], **fields: Any) -> Any:
        told = {"payment_id": uuid7(), "run_id": uuid7(), "sheet_id": self.sheet_id, "amount_yuan": Decimal("123.40")}
        return made(kind, **(told | fields))

    def issued(self, **fields: Any) -> SheetIssued:
        """The month's sheet, to be confirmed by the fifth."""
        told = {"amount_yuan": Decimal("123.40"), "line_count": 1, "confirm_by": CONFIRM_SHEET_BY}
        return self._of_sheet(SheetIssued, **(told | fields))

    def sheet_confirmed(self) -> SheetConfirmed:
        return self._of_sheet(SheetConfirmed, amount_yuan=Decimal("123.40"))

    def sheet_disputed(self) -> SheetDisputed:
        return self._of_sheet(SheetDisputed, payable_ids=(self.payable_id,), reason="数量不符")

    def sheet_returned(self, confirm_by: date) -> SheetReturned:
        return self._of_sheet(SheetReturned, amount_yuan=Decimal("123.40"), reason="金额不符", confirm_by=confirm_by)

    def held(self, disputed: str | None = "数量不符", **more: Any) -> PayableHeld:
        return self._of_receipt(PayableHeld, payable_id=self.payable_id, reason="数量不符", disputed=disputed, **more)

    def _of_sheet(self, kind: type[Any], **fields: Any) -> Any:
        return made(kind, **({"sheet_id": self.sheet_id, "month": date(2026, 3, 1)} | fields))

    def returned(self, step: int, amount: str = "0.00", **fields: Any) -> PaymentFailed:
        """The money came back; so much of the payable is still paid."""
        line = self._of_receipt(PaidLine, payable_id=self.payable_id, amount_yuan=Decimal(amount), step=step)
        return replace(self.failed(), returned=True, lines=(line,), **fields)


def account(state: str, account_id: UUID = ACCOUNT) -> ReceivingAccountChanged:
    return ReceivingAccountChanged(account_id=account_id, supplier_code=SUPPLIER, region="330000", state=state)


def flagged(kind: str, anomaly_id: UUID | None = None, **more: Any) -> CodeFlagged:
    return made(
        CodeFlagged,
        anomaly_id=anomaly_id or uuid7(),
        code="81000000000000000001",
        kind=kind,
        **{"detail": "second sale on 2026-03-01", "distributor_code": None, "manufacturer_code": None, **more},
    )


def cleared(anomaly_id: UUID, kind: str = "already_sold", at: datetime = NOON) -> CodeCleared:
    code = "81000000000000000001"
    return made(CodeCleared, anomaly_id=anomaly_id, code=code, kind=kind, finding="退货再售", cleared_at=at)


def recall(recall_id: UUID, *lots: str) -> RecallOpened:
    return made(RecallOpened, recall_id=recall_id, lot_numbers=lots, reason="含量不合格", opened_at=clock.now())


def recall_over(recall_id: UUID, *lots: str) -> RecallClosed:
    return made(RecallClosed, recall_id=recall_id, lot_numbers=lots, closed_at=clock.now())


def received(facts: Sequence[Event]) -> list[Received[Any]]:
    """As the inbox hands them over; what is not told here is not read by a handler."""
    told: dict[str, Any] = {"id": uuid7(), "subject": "s", "sequence": 1, "time": NOON}
    names = Received.__dataclass_fields__
    return [Received(**(dict.fromkeys(names) | told | {"data": fact})) for fact in facts]  # type: ignore[arg-type]
