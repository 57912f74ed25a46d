"""Opens and closes recalls; the worker then finds out who holds goods of the recalled lots, also of those that come later.

A manufacturer may not see hospitals' stock, so its call leaves a deadline that is due at once; the worker, which sees all,
meets it. Natural key of what it finds: recall and institution.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from uuid import UUID

from uuid_utils.compat import uuid7

from services.traceability.errors import NotYourProduct, RecallRefused
from services.traceability.handlers.products import permitted
from services.traceability.queries.organisations import names_of
from services.traceability.queries.products import products_by_code
from services.traceability.queries.recalls import get_recall, holders_of_recalled, open_recalls, open_recalls_by_id
from services.traceability.rules import recalls as rules
from services.traceability.rules.anomalies import HELD_RECALLED, HIGH
from services.traceability.rules.recalls import Recall, RecallState
from services.traceability.schemas.recalls import OpenRecall
from services.traceability.tables import anomalies, recalls
from shared import clock, deadlines, history, outbox
from shared.db import Tx
from shared.deadlines import Deadline
from shared.errors import Fault, Said
from shared.events.traceability import RecallClosed, RecallOpened
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller

UNLISTED = Said("a recall is of a product that was listed")
LOOK_FOR_HOLDERS = "look_for_holders"


async def open_recall(tx: Tx, caller: Caller, command: OpenRecall) -> Recall:
    """From now on the lots may not be received, used or sold. Raises RecallRefused, NotYourProduct."""
    known = (await products_by_code(tx, [command.product_code])).get(command.product_code)
    if known is None:
        fault = Fault(
            "/product_code", command.product_code, UNLISTED, "the code of a product that was listed", "unknown"
        )
        raise RecallRefused(
            "No listing of {product_code} is known to traceability.", faults=[fault], product_code=command.product_code
        )
    product = permitted(tx, known, command.product_code)
    recall = Recall(
        id=uuid7(),
        product_code=product.product_code,
        manufacturer_code=product.manufacturer_code,
        lot_numbers=tuple(sorted(set(command.lot_numbers))),
        reason=command.reason,
        state=RecallState.OPEN,
        opened_by=caller.organisation,
        opened_at=clock.now(),
        closed_at=None,
        version=1,
    )
    tx.add(recalls, asdict(recall))
    detail = {"product_code": recall.product_code, "lot_numbers": list(recall.lot_numbers), "reason": recall.reason}
    history.note(tx, caller, recall.id, "opened", _parties(caller, recall), detail)
    outbox.record(tx, opened_fact(recall, await names_of(tx, [recall.opened_by])), recall.version)
    await deadlines.put(tx, [Deadline(LOOK_FOR_HOLDERS, str(recall.id), clock.now())])
    return recall


async def close_recall(tx: Tx, caller: Caller, recall_id: UUID, reason: str) -> Recall:
    """The lots may be received again. Raises RecallNotFound, NotYourProduct, RecallNotOpen."""
    before = await get_recall(tx, recall_id, lock=True)
    if not tx.scope.covers(before.manufacturer_code, before.opened_by):
        raise NotYourProduct(
            "Recall {recall_id} is of {manufacturer_code}, opened by {opened_by}.",
            recall_id=recall_id,
            manufacturer_code=before.manufacturer_code,
            opened_by=before.opened_by,
        )
    recall = rules.close(before, clock.now(), caller.organisation, reason)
    changed = ("id", "state", "closed_at", "closed_by", "closing_reason", "version")
    await tx.change(recalls, [{name: getattr(recall, name) for name in changed}])
    detail = {"reason": reason, "changes": history.changes(before, recall, "state")}
    history.note(tx, caller, recall.id, "closed", _parties(caller, recall), detail)
    outbox.record(tx, closed_fact(recall), recall.version)
    return recall


def opened_fact(recall: Recall, names: Mapping[str, str]) -> RecallOpened:
    """That lots may not be received, used or sold."""
    return RecallOpened(
        recall_id=recall.id,
        product_code=recall.product_code,
        lot_numbers=recall.lot_numbers,
        reason=recall.reason,
        opened_at=recall.opened_at,
        opened_by=recall.opened_by,
        opened_by_name=names.get(recall.opened_by),
        manufacturer_code=recall.manufacturer_code,
    )


def closed_fact(recall: Recall) -> RecallClosed:
    """That the recall is over."""
    return RecallClosed(
        recall_id=recall.id,
        product_code=recall.product_code,
        lot_numbers=recall.lot_numbers,
        closed_at=recall.closed_at or clock.now(),
    )


def _parties(caller: Caller, recall: Recall) -> Parties:
    return Parties(supplier_code=recall.manufacturer_code, third_code=caller.organisation)


async def look_for_holders(tx: Tx, goods: Collection[tuple[str, str]]) -> None:
    """Goods of these (product, lot) were accepted: whoever took recalled ones is found, as at the opening."""
    found = await open_recalls(tx, [product_code for product_code, _ in goods])
    meant = [one for one in found if any((one.product_code, lot) in goods for lot in one.lot_numbers)]
    await deadlines.put(tx, [Deadline(LOOK_FOR_HOLDERS, str(one.id), clock.now()) for one in meant])


async def when_look_for_holders(tx: Tx, due: Sequence[Deadline]) -> None:
    """One anomaly for each institution that accepted goods of a recalled lot; known ones stay as they are."""
    found = await open_recalls_by_id(tx, [UUID(one.about) for one in due])
    for stock in await holders_of_recalled(tx, sorted(found)):
        recall = found[stock.recall_id]
        lots = ", ".join(recall.lot_numbers[:10])
        row = {
            "id": uuid7(),
            "kind": HELD_RECALLED,
            "severity": HIGH,
            "code": None,
            "codes": stock.packs,
            "ident": None,
            "product_code": recall.product_code,
            "document_id": None,
            "recall_id": recall.id,
            "receipt_id": None,
            "institution_code": stock.institution_code,
            "manufacturer_code": recall.manufacturer_code,
            "region": stock.region,
            "detail": Said(
                "{packs} sale units of {product_code} of recalled lots ({lots}) were accepted",
                packs=stock.packs,
                product_code=recall.product_code,
                lots=lots,
            ),
            "state": "open",
            "explanation": None,
            "finding": None,
            "found_at": clock.now(),
            "version": 1,
        }
        tx.add(anomalies, row, skip_repeated=True)
        parties = Parties(stock.institution_code, None, stock.region)
        history.note(tx, BY_ITSELF, str(row["id"]), "found", parties, {"detail": row["detail"]})
