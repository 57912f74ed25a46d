"""Reads packings: what lies in a case, down to the smallest packages that are known, and what a code lies in."""

from collections.abc import Iterable, Sequence

from shared.db import Tx

# OFFSET keeps the planner from joining, so that it goes by the index although the plan may be made on an empty table.
_LEAVES = """
WITH RECURSIVE inside (top, code, depth) AS (
  SELECT p.parent, p.child, 1 FROM packings p WHERE p.parent = ANY($1::text[])
  UNION ALL
  SELECT i.top, p.child, i.depth + 1
  FROM inside i CROSS JOIN LATERAL (SELECT child FROM packings WHERE parent = i.code OFFSET 0) AS p WHERE i.depth < 3
)
SELECT i.top, i.code FROM inside i
WHERE NOT EXISTS (SELECT FROM packings WHERE parent = i.code OFFSET 0) ORDER BY 1, 2
"""
_UP = """
WITH RECURSIVE around (code, depth) AS (
  SELECT p.parent, 1 FROM packings p WHERE p.child = $1
  UNION ALL
  SELECT p.parent, a.depth + 1 FROM around a JOIN packings p ON p.child = a.code WHERE a.depth < 3
)
SELECT code FROM around ORDER BY depth
"""
_PARENTS = "SELECT child, parent FROM packings WHERE child = ANY($1::text[])"
_INSIDE = "SELECT parent, child FROM packings WHERE parent = ANY($1::text[])"
_CHILDREN = "SELECT count(*) FROM packings WHERE parent = $1"


async def leaves_of(tx: Tx, cases: Iterable[str]) -> dict[str, list[str]]:
    """By case code: the innermost known codes; a case without a packing map is not there."""
    wanted = sorted(set(cases))
    inside: dict[str, list[str]] = {}
    for row in await tx.sql(_LEAVES, wanted) if wanted else ():
        inside.setdefault(row["top"], []).append(row["code"])
    return inside


async def parents_of(tx: Tx, children: Sequence[str]) -> dict[str, str]:
    """What each of these codes lies in directly, where that is known."""
    return {row["child"]: row["parent"] for row in await tx.sql(_PARENTS, children)}


async def children_of(tx: Tx, parents: Sequence[str]) -> dict[str, list[str]]:
    """What lies directly in each of these codes."""
    inside: dict[str, list[str]] = {}
    for row in await tx.sql(_INSIDE, sorted(set(parents))):
        inside.setdefault(row["parent"], []).append(row["child"])
    return inside


async def packages_around(tx: Tx, code: str) -> list[str]:
    """What a code lies in, from the next package outwards."""
    return [row["code"] for row in await tx.sql(_UP, code)]


async def count_children(tx: Tx, code: str) -> int:
    """How many codes lie in it directly."""
    return int((await tx.sql(_CHILDREN, code))[0][0])
