"""A bill while it is worked on: what was read, what was refused, what landed; and the answer that comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from services.traceability.rules.documents import BillType, Item, Refused
from services.traceability.rules.receipts import Receipt, count
from services.traceability.rules.units import Goods
from shared.values import frozen


@frozen
class Landed:
    """A code that was taken; it counts for `packs` sale units, or later, when `awaiting_ident` has a meaning."""

    code: str
    packs: int
    awaiting_ident: str | None = None
    quantity: int | None = None
    received_document_id: UUID | None = None


SHOWN_IDENTS = 20
"""Unknown identification codes that an answer names; `awaiting` counts every code."""


@frozen
class Maker:
    """Who makes the product of a bill."""

    code: str
    name: str | None


@dataclass(slots=True)
class Bill:
    """One document in hand."""

    id: UUID
    number: str
    type_code: str
    type: BillType
    organisation: str
    region: str
    place: str | None
    captured_at: datetime
    shipment_line_id: UUID | None
    receipt: Receipt | None
    goods: Goods
    digest: bytes
    details: Mapping[str, Any]
    items: list[Item] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    landed: list[Landed] = field(default_factory=list)
    own_sales: set[str] = field(default_factory=set)
    placeholders: int = 0
    warned: list[Refused] = field(default_factory=list)
    """Codes that landed although something about them is not as it should be."""
    counted: dict[UUID, tuple[Receipt, Receipt]] = field(default_factory=dict)
    """The receipts that it changed, as they were before it and after."""

    @property
    def packs(self) -> int:
        """Sale units that count."""
        return sum(one.packs for one in self.landed)

    @property
    def awaiting(self) -> list[tuple[str, str]]:
        """Codes that count later, each with the identification code it waits for."""
        return [(one.code, one.awaiting_ident) for one in self.landed if one.awaiting_ident is not None]

    def unknown(self, maker: Maker | None) -> list[dict[str, Any]]:
        """The identification codes that nobody has uploaded, the most frequent first: whose they probably are to upload."""
        waiting: dict[str, list[str]] = {}
        for code, ident in self.awaiting:
            waiting.setdefault(ident, []).append(code)
        most = sorted(waiting.items(), key=lambda one: (-len(one[1]), one[0]))[:SHOWN_IDENTS]
        who = {"manufacturer_code": maker.code if maker else None, "manufacturer_name": maker.name if maker else None}
        return [{"ident": ident, "codes": len(codes), "first_code": codes[0], **who} for ident, codes in most]

    def answer(self, receipt: Receipt | None, maker: Maker | None) -> dict[str, Any]:
        """What is told about it, now and whenever the same bill comes again."""
        coverage = None
        if receipt is not None:
            coverage = {
                "quantity_accepted": receipt.quantity_accepted,
                "quantity_covered": receipt.quantity_covered,
                "state": str(receipt.state),
            }
        return {
            "refused": [one.shown() for one in self.refused],
            "warnings": [one.shown() for one in self.warned],
            "awaiting": len(self.awaiting),
            "unknown": self.unknown(maker),
            "coverage": coverage,
            **self.details,
        }

    def count(self, receipts: dict[UUID, Receipt], receipt_id: UUID, packs: int) -> None:
        """Counts so many more sale units on a receipt, or fewer."""
        before = receipts[receipt_id]
        after = receipts[receipt_id] = count(before, packs)
        if after is not before:
            first, _ = self.counted.get(receipt_id, (before, after))
            self.counted[receipt_id] = (first, after)

    def surplus_code(self, surplus: int) -> str:
        """The first of the codes that landed last and together hold so many sale units."""
        beyond = 0
        for one in reversed(self.landed):
            beyond += one.packs
            if beyond >= surplus:
                return one.code
        return self.landed[0].code
