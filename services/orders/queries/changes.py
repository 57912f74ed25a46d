"""Writes what changed of orders, lines, shipments and shipment lines: one statement, however many rows of each."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.orders.rules.lines import Line
from services.orders.rules.orders import Order
from services.orders.rules.shipments import Shipment, ShipmentLine
from services.orders.tables import order_lines, orders, shipment_lines, shipments
from shared.db import Tx

_CHANGING: dict[sa.Table, dict[str, str]] = {
    orders: {"lines_pending": "int", "lines_active": "int", "lines_cancelled": "int", "version": "int"},
    order_lines: {
        "state": "text",
        "quantity_confirmed": "int",
        "quantity_refused": "int",
        "quantity_shipped": "int",
        "quantity_accepted": "int",
        "quantity_rejected": "int",
        "quantity_closed": "int",
        "deliver_by": "timestamptz",
        "reason": "text",
    },
    shipments: {"state": "text", "reason": "text", "version": "int"},
    shipment_lines: {
        "quantity_accepted": "int",
        "quantity_rejected": "int",
        "reason": "text",
        "received_at": "timestamptz",
    },
}
"""What may change of each; everything else is written once."""


def _update(table: sa.Table, first: int) -> str:
    kinds = {"id": "uuid", **_CHANGING[table]}
    arrays = ", ".join(f"${first + place}::{kind}[]" for place, kind in enumerate(kinds.values()))
    changes = ", ".join(f"{name} = given.{name}" for name in _CHANGING[table])
    names = ", ".join(kinds)
    return f"UPDATE {table.name} AS t SET {changes} FROM unnest({arrays}) AS given ({names}) WHERE t.id = given.id"  # noqa: S608  names are declared


def _statement(tables: Sequence[sa.Table]) -> str:
    updates: list[str] = []
    first = 1
    for table in tables:
        updates.append(_update(table, first))
        first += len(_CHANGING[table]) + 1
    *parts, last = updates
    chained = ", ".join(f"u{place} AS ({part})" for place, part in enumerate(parts))
    return f"WITH {chained} {last}"


_STORE = _statement(tuple(_CHANGING))


async def store(
    tx: Tx,
    changed_orders: Sequence[Order] = (),
    changed_lines: Sequence[Line] = (),
    changed_shipments: Sequence[Shipment] = (),
    changed_shipment_lines: Sequence[ShipmentLine] = (),
) -> None:
    """Brings rows to these values; the caller holds the locks of their orders."""
    groups: Sequence[Sequence[Any]] = (changed_orders, changed_lines, changed_shipments, changed_shipment_lines)
    if not any(groups):
        return
    arrays: list[list[Any]] = []
    for table, group in zip(_CHANGING, groups, strict=True):
        arrays += [[getattr(one, name) for one in group] for name in ("id", *_CHANGING[table])]
    await tx.sql(_STORE, *arrays)
