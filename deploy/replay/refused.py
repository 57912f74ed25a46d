"""Every refused row, by whom and why: those of the importer out of the plan, those of the platform kept in the data folder.

Invariant: what the platform refused is written down before the rest of its order is placed, so that a replay that goes on
sends the same order again.
"""

from decimal import Decimal
from pathlib import Path

import msgspec

from deploy.replay.plan import Plan
from deploy.replay.sheets import API, RefusedRow
from shared.imports import Refusal, write_refused

REASON_COLUMNS = ("原因 reason", "由谁 refused by", "金额 yuan")


class Kept(msgspec.Struct, frozen=True):
    """A row that the platform refused, as it is kept."""

    row: int
    reason: str
    rules: tuple[tuple[str, str, str, str], ...]
    """pointer, given, rule, allowed"""


class ApiRefusals:
    """Rows that the platform refused, by row number."""

    def __init__(self, data_dir: Path, plan: Plan) -> None:
        self._file = data_dir / "replay-refused-by-api.jsonl"
        self._plan = plan
        self._amounts = {line.row: line.amount_yuan for order in plan.orders for line in order.lines}
        self.rows: dict[int, RefusedRow] = {}
        if self._file.exists():
            for line in self._file.read_bytes().splitlines():
                self._take(msgspec.json.decode(line, type=Kept))

    def add(self, kept: Kept) -> None:
        """Writes one down."""
        with self._file.open("ab") as file:
            file.write(msgspec.json.encode(kept) + b"\n")
        self._take(kept)

    def _take(self, kept: Kept) -> None:
        if kept.row not in self._amounts:
            return
        faults = tuple(Refusal(kept.row, *words) for words in kept.rules)
        cells = self._plan.trade.cells[kept.row]
        yuan: Decimal = self._amounts[kept.row]
        self.rows[kept.row] = RefusedRow(kept.row, kept.reason, API, yuan, cells, faults)


def write(path: Path, plan: Plan, refused: list[RefusedRow]) -> int:
    """All refused rows as a sheet that can be mended: the row as it was, reason, by whom, number, rule."""
    header = [*plan.trade.header, *REASON_COLUMNS]
    ordered = sorted(refused, key=lambda one: one.number)
    rows = (([*one.cells, one.reason, one.by, f"{one.yuan:f}"], one.faults) for one in ordered)
    return write_refused(path, header, rows)


def write_catalogue(path: Path, plan: Plan) -> int:
    """The rows of the catalogue that stand for no listing of their own: merged, or not listed, with the reason."""
    header = ["行 row", "医保药品代码 product_code", "结果 result", "说明 why"]
    catalogue = plan.catalogue
    by_row = {row.number: code for code, row in catalogue.listed.items()}
    rows = [
        [str(number), by_row[into], "merged", f"differs from row {into} in its origin alone"]
        for number, into in catalogue.merged
    ]
    rows += [[str(row.number), row.product_code, "not listed", why] for row, why in catalogue.unlisted]
    return write_refused(path, header, (([*cells], ()) for cells in sorted(rows, key=lambda cells: int(cells[0]))))
