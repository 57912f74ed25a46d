"""Learns which enterprises trade under another code than their USCC. Natural key: the code; a USCC, once confirmed, stays."""

from collections.abc import Sequence

from services.settlement.tables import organisations
from shared.db import Tx
from shared.events.listing import EnterpriseRegistered
from shared.inbox import Received


async def on_enterprises_registered(tx: Tx, events: Sequence[Received[EnterpriseRegistered]]) -> None:
    """Most trade under their USCC, and nothing is kept of them."""
    others = {one.data.enterprise_code: one.data.uscc for one in events if one.data.uscc != one.data.enterprise_code}
    rows = [{"code": code, "uscc": uscc} for code, uscc in others.items() if uscc is not None]
    tx.add(organisations, *rows, skip_repeated=True)
