"""Keeps the names of those who take part, as listing last told them."""

from collections.abc import Sequence

from services.alerts.queries.watches import fill_organisations
from shared.db import Tx
from shared.events.listing import EnterpriseRegistered, InstitutionRegistered
from shared.inbox import Received


async def on_enterprises_registered(tx: Tx, events: Sequence[Received[EnterpriseRegistered]]) -> None:
    """The newest version of an enterprise holds."""
    await fill_organisations(
        tx,
        [
            {
                "code": event.data.enterprise_code,
                "name": event.data.name,
                "region": event.data.region,
                "active": event.data.active,
                "uscc": event.data.uscc,
                "version": event.sequence,
            }
            for event in events
        ],
    )


async def on_institutions_registered(tx: Tx, events: Sequence[Received[InstitutionRegistered]]) -> None:
    """The newest version of an institution holds."""
    await fill_organisations(
        tx,
        [
            {
                "code": event.data.institution_code,
                "name": event.data.name,
                "region": event.data.region,
                "active": event.data.active,
                "version": event.sequence,
            }
            for event in events
        ],
    )
