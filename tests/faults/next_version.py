"""`python -m tests.faults.next_version work orders`: `jicai` as it will be one version later, for the test of rolling upgrades.

In that version an accepted delivery is another event, `delivery.accepted.v2`, which a reader of v1 cannot read: who says it
says both, and who hears it acts on the first that it reads, as docs/decisions/two-versions.md has it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from deploy import alone
from deploy.cli import app
from shared import outbox
from shared.db import Tx
from shared.events import Event, Value, event
from shared.events.orders import AcceptedLine, DeliveryAccepted
from shared.inbox import Handler, Received
from shared.service import Service
from tests.faults import witness


class Party(Value, frozen=True, kw_only=True):
    """Who takes part, with code and name together."""

    code: str
    name: str


@event("cn.jicai.orders.delivery.accepted.v2", subject="shipment_id")
class DeliveryAcceptedNext(Event, frozen=True, kw_only=True):
    """The hospital accepted goods, told as the next version tells it: the parties are things of their own."""

    shipment_id: Any
    order_id: Any
    order_number: str
    institution: Party
    distributor: Party
    region: str
    accepted_at: datetime
    lines: tuple[AcceptedLine, ...]


def forward(fact: DeliveryAccepted) -> DeliveryAcceptedNext:
    """The same fact in the next version."""
    return DeliveryAcceptedNext(
        shipment_id=fact.shipment_id,
        order_id=fact.order_id,
        order_number=fact.order_number,
        institution=Party(code=fact.institution_code, name=fact.institution_name),
        distributor=Party(code=fact.distributor_code, name=fact.distributor_name),
        region=fact.region,
        accepted_at=fact.accepted_at,
        lines=fact.lines,
    )


def back(fact: DeliveryAcceptedNext) -> DeliveryAccepted:
    """The same fact as handlers of today take it."""
    return DeliveryAccepted(
        shipment_id=fact.shipment_id,
        order_id=fact.order_id,
        order_number=fact.order_number,
        institution_code=fact.institution.code,
        institution_name=fact.institution.name,
        distributor_code=fact.distributor.code,
        distributor_name=fact.distributor.name,
        region=fact.region,
        accepted_at=fact.accepted_at,
        lines=fact.lines,
    )


def say_both() -> None:
    """From now on this process says accepted deliveries in both versions."""
    say_one = outbox.record

    def record(tx: Tx, fact: Event, sequence: int, beside: Sequence[Event] = (), **more: Any) -> None:
        both = (forward(fact),) if isinstance(fact, DeliveryAccepted) else ()
        say_one(tx, fact, sequence, (*beside, *both), **more)

    outbox.record = record


def hear_both(service: Service) -> Service:
    """The service as it reads both versions."""
    today = service.handlers.get(DeliveryAccepted)
    if today is None:
        return service
    handler: Handler = today

    async def on_next(tx: Tx, events: Sequence[Received[DeliveryAcceptedNext]]) -> None:
        await handler(tx, [replace(one, data=back(one.data)) for one in events])

    return replace(service, handlers={**service.handlers, DeliveryAcceptedNext: on_next})


def main() -> None:
    """The command line of the next version."""
    witness.write_down()
    say_both()
    today = alone.work_alone

    def work_alone(service: Service, *told: Any, **more: Any) -> None:
        today(hear_both(service), *told, **more)

    alone.work_alone = work_alone
    app()


if __name__ == "__main__":
    main()
