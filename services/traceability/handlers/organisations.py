"""Keeps the names of those who take part, as listing last told them. Natural key: the organisation's code."""

from collections.abc import Sequence

from services.traceability.queries.organisations import keep_names
from shared.db import Tx
from shared.events.listing import EnterpriseRegistered, InstitutionRegistered
from shared.inbox import Received


async def on_enterprises_registered(tx: Tx, events: Sequence[Received[EnterpriseRegistered]]) -> None:
    """The newest version of an enterprise holds."""
    told = [(one.data.enterprise_code, one.data.name, one.sequence, one.data.uscc) for one in events]
    await keep_names(tx, told)


async def on_institutions_registered(tx: Tx, events: Sequence[Received[InstitutionRegistered]]) -> None:
    """The newest version of an institution holds."""
    await keep_names(tx, [(one.data.institution_code, one.data.name, one.sequence, None) for one in events])
