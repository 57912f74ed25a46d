"""The money of settlement against itself: payments, the accounts they go to, sheets, their lines, payables, the ledger.

Whoever changes one of them from outside leaves another that says what it was; `docs/decisions/audit.md` names what is found.
"""

from asyncio import to_thread

import asyncpg

from deploy.deeds import otherwise_told
from services.settlement.rules.accounts import DETAILS, digest

DISAGREEING = {
    "payments of another amount than the undisputed lines of their sheet": """
        SELECT p.id FROM payments AS p WHERE p.state IN ('planned', 'sending', 'paid') AND p.amount_yuan IS DISTINCT FROM (
            SELECT sum(l.amount_yuan) FROM sheet_lines AS l WHERE l.sheet_id = p.sheet_id AND l.disputed_at IS NULL)
    """,
    "payments to another supplier, institution or region than their sheet names": """
        SELECT p.id FROM payments AS p JOIN sheets AS s ON s.id = p.sheet_id
        WHERE (p.institution_code, p.distributor_code, p.region, p.month)
            <> (s.institution_code, s.distributor_code, s.region, s.month)
    """,
    "payments to an account that is not as their supplier named it and the agency confirmed it": """
        SELECT p.id FROM payments AS p JOIN accounts AS a ON a.id = p.account_id
        WHERE (p.holder_name, p.bank_name, p.cnaps_code, p.account_number, p.distributor_code)
                <> (a.holder_name, a.bank_name, a.cnaps_code, a.account_number, a.supplier_code)
            OR NOT starts_with(p.region, a.region_prefix) OR a.decided_by IS NULL OR a.state = 'refused'
    """,
    "payments that the ledger has otherwise": """
        SELECT p.id FROM payments AS p LEFT JOIN (
            SELECT payment_id, sheet_id,
                sum(CASE kind WHEN 'sent' THEN amount_yuan WHEN 'bounced' THEN 0 ELSE -amount_yuan END) AS sent,
                sum(CASE kind WHEN 'paid' THEN amount_yuan WHEN 'bounced' THEN -amount_yuan ELSE 0 END) AS paid
            FROM transfers WHERE payment_id IS NOT NULL GROUP BY payment_id, sheet_id
        ) AS t ON t.payment_id = p.id AND t.sheet_id = p.sheet_id
        WHERE coalesce(t.sent, 0) <> CASE p.state WHEN 'sending' THEN p.amount_yuan ELSE 0 END
            OR coalesce(t.paid, 0) <> CASE p.state WHEN 'paid' THEN p.amount_yuan ELSE 0 END
    """,
    "postings of the ledger for payments that do not pay the sheet": """
        SELECT t.id FROM transfers AS t LEFT JOIN payments AS p ON p.id = t.payment_id AND p.sheet_id = t.sheet_id
        WHERE t.kind IN ('sent', 'paid', 'refused', 'bounced') AND p.id IS NULL
    """,
    "payment runs of another amount or number than their payments": """
        SELECT r.id FROM payment_runs AS r LEFT JOIN payments AS p ON p.run_id = r.id
        GROUP BY r.id HAVING (r.amount_yuan, r.payment_count) <> (coalesce(sum(p.amount_yuan), 0), count(p.id))
    """,
    "sheets of another amount or number than their undisputed lines": """
        SELECT s.id FROM sheets AS s LEFT JOIN sheet_lines AS l ON l.sheet_id = s.id AND l.disputed_at IS NULL
        GROUP BY s.id HAVING (s.amount_yuan, s.line_count) <> (coalesce(sum(l.amount_yuan), 0), count(l.sheet_id))
    """,
    "sheet lines of payables that somebody else owes or is owed": """
        SELECT p.id FROM sheet_lines AS l JOIN payables AS p ON p.id = l.payable_id JOIN sheets AS s ON s.id = l.sheet_id
        WHERE (s.institution_code, s.distributor_code, s.region) <> (p.institution_code, p.distributor_code, p.region)
    """,
    "payables of which another amount is on sheets than their lines there say": """
        SELECT p.id FROM payables AS p LEFT JOIN sheet_lines AS l ON l.payable_id = p.id AND l.disputed_at IS NULL
        GROUP BY p.id HAVING p.sheeted_yuan <> coalesce(sum(l.amount_yuan), 0)
    """,
}
"""What no two rows of settlement may say of each other, each with the query that finds those that do."""

_NAMED = """
SELECT a.*, h.detail ->> 'digest' AS digest FROM accounts AS a
JOIN history AS h ON h.about = a.id::text AND h.action = 'named' WHERE h.detail ? 'digest' ORDER BY a.id
"""


async def disagreements(settlement: asyncpg.Connection) -> list[str]:
    """One sentence for each kind of thing that settlement's own rows do not agree on, or that their deeds tell otherwise."""
    faults: list[str] = []
    for said, asked in DISAGREEING.items():
        (found,) = await settlement.fetch(f"SELECT count(*) AS rows, min(id::text) AS first FROM ({asked}) AS found")  # noqa: S608  our own
        if found["rows"]:
            faults.append(f"settlement: {said}: {found['rows']}, {found['first']} first")
    return [*faults, *await _not_as_named(settlement), *await otherwise_told(settlement)]


async def _not_as_named(settlement: asyncpg.Connection) -> list[str]:
    """Accounts whose details are not those that the supplier named: the deed keeps their digest."""
    return [
        f"settlement: account {row['id']} of {row['supplier_code']} is not as it was named"
        for row in await settlement.fetch(_NAMED)
        if await to_thread(digest, row["id"], *(row[name] for name in DETAILS)) != row["digest"]
    ]
