"""Learns the names of enterprises, and which trade under another code than their USCC. Natural key: the code."""

from collections.abc import Sequence

from services.settlement.queries.organisations import keep_enterprises
from shared.db import Tx
from shared.events.listing import EnterpriseRegistered
from shared.inbox import Received


async def on_enterprises_registered(tx: Tx, events: Sequence[Received[EnterpriseRegistered]]) -> None:
    """The newest version of an enterprise holds."""
    told = [
        (one.data.enterprise_code, one.data.uscc, [one.data.name, *one.data.aliases], one.sequence) for one in events
    ]
    await keep_enterprises(tx, told)
