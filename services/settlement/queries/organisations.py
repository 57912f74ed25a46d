"""Keeps what is known of enterprises, and reads their names."""

from collections.abc import Iterable, Sequence

from shared.db import Tx

_KEPT = ("code", "uscc", "names", "version")
_KEEP = """
INSERT INTO organisations (code, uscc, names, version)
SELECT * FROM jsonb_to_recordset($1) AS told(code text, uscc text, names text[], version int) ORDER BY code
ON CONFLICT (code) DO UPDATE SET uscc = excluded.uscc, names = excluded.names, version = excluded.version
WHERE organisations.version <= excluded.version
"""
_NAMES = "SELECT names FROM organisations WHERE code = $1"


async def keep_enterprises(tx: Tx, told: Iterable[tuple[str, str | None, Sequence[str], int]]) -> None:
    """Keeps (code, USCC, names, version); of one enterprise the newest version holds."""
    newest = {one[0]: dict(zip(_KEPT, one, strict=True)) for one in sorted(told, key=lambda one: one[3])}
    await tx.sql(_KEEP, list(newest.values()))


async def names_of_enterprise(tx: Tx, code: str) -> list[str] | None:
    """Every name that the enterprise is registered under; None where none is known here."""
    found = await tx.sql(_NAMES, code)
    return found[0]["names"] if found else None
