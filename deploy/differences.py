"""What one service says and another does not, each by its name: read from the five databases, for a person who must mend it.

Two services that should have heard the same of a thing are laid beside each other, in both directions.
"""

from collections.abc import Callable, Mapping

import asyncpg

from deploy.chain import SERVICES, side_by_side
from shared.values import frozen

SHOWN = 20
"""Of each comparison so many are named; the last line tells of the rest."""

_OWED_BY = "' by ' || {t}.institution_code || ' to ' || {t}.distributor_code || ', ' || unit_price_yuan || ' a unit'"
ACCEPTED = f"""
SELECT s.id AS key, s.quantity_accepted || ' accepted' AS units,
    s.quantity_accepted || ' accepted for ' || round(s.quantity_accepted * l.unit_price_yuan, 2) || ' yuan'
        || {_OWED_BY.format(t="s")} AS value,
    'order ' || o.order_number || ', line ' || s.line_number || ', lot ' || s.lot_number AS name
FROM shipment_lines s JOIN order_lines l ON l.id = s.order_line_id JOIN orders o ON o.id = s.order_id
WHERE s.quantity_accepted > 0
"""  # noqa: S608  our own words
OWED = f"""
SELECT shipment_line_id AS key,
    quantity || ' accepted for ' || amount_yuan || ' yuan' || {_OWED_BY.format(t="p")} AS value,
    'order ' || order_number || ', lot ' || lot_number AS name FROM payables AS p
"""  # noqa: S608  our own words
EXPECTED = """
SELECT shipment_line_id AS key, quantity_accepted || ' accepted' AS value,
    'order ' || order_id || ', lot ' || coalesce(lot_number, '?') AS name FROM receipts WHERE quantity_accepted > 0
"""
COVERED = """
SELECT shipment_line_id AS key, least(packs_captured, quantity_accepted) || ' covered' AS value,
    'order ' || order_id || ', lot ' || coalesce(lot_number, '?') AS name
FROM receipts WHERE state IN ('short', 'covered') AND packs_captured > 0
"""
RELEASED_FOR = """
SELECT shipment_line_id AS key, quantity_covered || ' covered' AS value, 'shipment line ' || shipment_line_id AS name
FROM coverage WHERE quantity_covered > 0
"""
TRACED = """
SELECT s.id AS key, s.quantity_traced || ' covered' AS value,
    'order ' || o.order_number || ', lot ' || s.lot_number AS name
FROM shipment_lines s JOIN orders o ON o.id = s.order_id WHERE s.quantity_traced > 0
"""
PAID = """
SELECT id AS key, paid_yuan || ' yuan paid' AS value, 'order ' || order_number || ', lot ' || lot_number AS name
FROM payables WHERE paid_yuan > 0
"""
TOLD_PAID = """
SELECT payable_id AS key, p.amount_yuan || ' yuan paid' AS value, 'order ' || o.order_number AS name
FROM line_payments p JOIN orders o ON o.id = p.order_id WHERE p.amount_yuan > 0
"""
OWED_NOW = """
SELECT id AS key, amount_yuan || ' yuan owed' AS value, 'order ' || order_number || ', lot ' || lot_number AS name
FROM payables
"""
WATCHED = """
SELECT payable_id AS key, amount_yuan || ' yuan owed' AS value,
    'order ' || order_id || ', lot ' || coalesce(lot_number, '?') AS name FROM receipts WHERE amount_yuan IS NOT NULL
"""
# What orders may be placed for, and at which price.
_TERMS = "{state} || ' at ' || price_yuan || ' yuan from ' || valid_from || coalesce(' to ' || valid_to, '')"
_LISTING = "'product ' || product_code || ' in ' || region"
LISTED = f"""
SELECT id AS key, {_LISTING} AS name,
    CASE WHEN state IN ('public_notice', 'listed', 'suspended', 'delisted') THEN {_TERMS.format(state="state")}
        ELSE 'retracted' END AS value
FROM listings WHERE version > 0
"""  # noqa: S608  our own words
TOLD_LISTED = f"""
SELECT listing_id AS key, {_LISTING} AS name,
    CASE WHEN state = 'retracted' THEN 'retracted' ELSE {_TERMS.format(state="coalesce(state, 'listed')")} END AS value
FROM listings LEFT JOIN listing_states USING (listing_id)
"""  # noqa: S608  our own words
_DELIVERS = "'confirmed from ' || valid_from || coalesce(' to ' || valid_to, '')"
DELIVERED = f"""
SELECT id AS key, coalesce('ended on ' || ended_on, {_DELIVERS}) AS value,
    'product ' || product_code || ' in ' || region || ' by ' || distributor_code AS name
FROM distributions WHERE version > 0
"""  # noqa: S608  our own words
TOLD_DELIVERED = f"""
SELECT distribution_id AS key,
    CASE WHEN e.version > coalesce(d.version, 0) THEN 'ended on ' || ended_on ELSE {_DELIVERS} END AS value,
    coalesce('product ' || product_code || ' in ' || region || ' by ' || distributor_code, 'not said') AS name
FROM distributions AS d FULL JOIN distribution_ends AS e USING (distribution_id)
"""  # noqa: S608  our own words
ENTERPRISES = """
SELECT code COLLATE "C" AS key, name,
    CASE WHEN active THEN 'it at work' ELSE 'it closed' END || coalesce(', USCC ' || uscc, '') AS value
FROM enterprises
"""
INSTITUTIONS = """
SELECT code COLLATE "C" AS key, name, CASE WHEN active THEN 'it at work' ELSE 'it closed' END || ' in ' || region AS value
FROM institutions
"""
RENAMED = """
SELECT code COLLATE "C" AS key, 'USCC ' || uscc AS value, name FROM enterprises WHERE uscc <> code
"""
TOLD_RENAMED = """
SELECT code COLLATE "C" AS key, 'USCC ' || uscc AS value, 'as settlement pays it' AS name FROM organisations
WHERE uscc <> code
"""
ACCOUNTS = """
SELECT {id} AS key, 'it as ' || state AS value, 'of ' || supplier_code || ' for ' || region_prefix AS name FROM accounts
"""
_SHEET = "institution_code || ', ' || to_char(month, 'YYYY-MM')"
SHEETS = f"""
SELECT id AS key, {_SHEET} AS name, 'it as ' || CASE WHEN state = 'paid' THEN 'paid'
    WHEN state IN ('confirmed', 'reviewed', 'in_run') THEN 'confirmed' ELSE 'issued' END AS value FROM sheets
"""  # noqa: S608  our own words
TOLD_SHEETS = f"""
SELECT sheet_id AS key, {_SHEET} AS name, 'it as ' || CASE WHEN paid_at > coalesce(unpaid_at, '-infinity') THEN 'paid'
    WHEN confirmed_at >= coalesce(returned_at, '-infinity') THEN 'confirmed' ELSE 'issued' END AS value FROM sheets
"""  # noqa: S608  our own words


@frozen
class Comparison:
    """Rows of two services that should agree: `key`, `value`, and `name` for people; `column` is what is compared first."""

    about: str
    first: str
    of_first: str
    second: str
    of_second: str
    column: str = "value"


COMPARISONS = (
    Comparison("accepted line", "orders", ACCEPTED, "settlement", OWED),
    Comparison("accepted line", "orders", ACCEPTED, "traceability", EXPECTED, "units"),
    Comparison("coverage", "traceability", COVERED, "settlement", RELEASED_FOR),
    Comparison("coverage", "traceability", COVERED, "orders", TRACED),
    Comparison("payment", "settlement", PAID, "orders", TOLD_PAID),
    Comparison("payable", "settlement", OWED_NOW, "alerts", WATCHED),
    *(
        Comparison(about, "settlement", of_settlement, listener, told)
        for listener in ("orders", "alerts")
        for about, of_settlement, told in (
            ("sheet", SHEETS, TOLD_SHEETS),
            ("account", ACCOUNTS.format(id="id"), ACCOUNTS.format(id="account_id")),
        )
    ),
    Comparison("listing", "listing", LISTED, "orders", TOLD_LISTED),
    Comparison("distribution", "listing", DELIVERED, "orders", TOLD_DELIVERED),
    Comparison("enterprise", "listing", ENTERPRISES, "orders", ENTERPRISES),
    Comparison("institution", "listing", INSTITUTIONS, "orders", INSTITUTIONS),
    Comparison("enterprise", "listing", RENAMED, "settlement", TOLD_RENAMED),
)


async def differences(url_of: Callable[[str], str]) -> list[str]:
    """One sentence for each thing of which two services do not say the same; what is on its way just now is among them."""
    databases = {name: await asyncpg.connect(url_of(name)) for name in SERVICES}
    try:
        return [sentence for one in COMPARISONS for sentence in await _named(one, databases)]
    finally:
        for database in databases.values():
            await database.close()


async def _named(one: Comparison, databases: Mapping[str, asyncpg.Connection]) -> list[str]:
    sentences: list[str] = []
    rest = 0
    async for here, there in side_by_side(databases[one.first], one.of_first, databases[one.second], one.of_second):
        said, heard = here and here[0][one.column], there and there[0]["value"]
        if said == heard:
            continue
        if len(sentences) == SHOWN:
            rest += 1
            continue
        key, name = ((here or there)[0][column] for column in ("key", "name"))
        sentences.append(
            f"{one.about} {key} ({name}): {one.first} has {said or 'nothing'}, {one.second} has {heard or 'nothing'}"
        )
    if rest:
        sentences.append(f"{one.about}: {rest} more of which {one.first} and {one.second} differ")
    return sentences
