"""Reads what happened to things that are public themselves: what was done to them is their parties' own."""

from collections.abc import Sequence
from uuid import UUID

from services.listing.errors import TimelineNotFound
from shared import history
from shared.db import Tx
from shared.history import TimelineView
from shared.next_steps import NextStep


async def get_timeline(tx: Tx, about: UUID, state: str, next_steps: Sequence[NextStep] = ()) -> TimelineView:
    """The timeline of a thing as the caller may see it; raises TimelineNotFound for who may see none of its deeds."""
    view = await history.timeline(tx, about, state, next_steps)
    if not view.deeds:
        raise TimelineNotFound("There is no timeline of {about} that you may see.", about=about)
    return view
