"""Shows next acts of the rules as steps of a timeline."""

from collections.abc import Sequence

from services.orders.rules.orders import NextAct
from shared.history import NextStep


def steps(acts: Sequence[NextAct]) -> list[NextStep]:
    """Who must act, on what, by when."""
    return [NextStep(who=act.who, what=act.what, by=act.by) for act in acts]
