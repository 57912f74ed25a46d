"""Keeps and reads the names of those who take part."""

from collections.abc import Iterable, Sequence

from shared.db import Tx
from shared.next_steps import NextStep

_KEEP = """
INSERT INTO organisations (code, name, version, uscc)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::text[]) ORDER BY 1
ON CONFLICT (code) DO UPDATE SET name = excluded.name, version = excluded.version, uscc = excluded.uscc
WHERE organisations.version <= excluded.version
"""
_NAMES = "SELECT code, name FROM organisations WHERE code = ANY($1::text[])"


async def keep_names(tx: Tx, told: Iterable[tuple[str, str, int, str | None]]) -> None:
    """Keeps (code, name, version, uscc); of one organisation the newest version holds, which fills what was not kept at first."""
    newest = {one[0]: one for one in sorted(told, key=lambda one: one[2])}
    await tx.sql(_KEEP, *([one[place] for one in newest.values()] for place in range(4)))


async def names_of(tx: Tx, codes: Iterable[str | None]) -> dict[str, str]:
    """The names of those of the organisations that are registered, by code."""
    wanted = sorted({code for code in codes if code is not None})
    return {row["code"]: row["name"] for row in await tx.sql(_NAMES, wanted)} if wanted else {}


async def with_names(tx: Tx, steps: Sequence[NextStep]) -> list[NextStep]:
    """The steps with the names of those who must act, as far as they are known."""
    names = await names_of(tx, [step.who.code for step in steps])
    return [
        step.model_copy(update={"who": step.who.model_copy(update={"name": names.get(step.who.code or "")})})
        for step in steps
    ]
