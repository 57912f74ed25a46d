"""The second wall: roles that cannot bypass it, grants as small as they can be, row-level security on private tables.

The scoped queries are the first wall. Here the database itself lets a service's API see only rows of which the caller's
organisation is a party, or of the caller's region; the worker acts for the platform and sees all. History and the like
are append-only for both.
"""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from shared.migrations import chain, once, upkeep
from shared.settings import api_role, worker_role

_DEED = (
    "about, action, detail, at, organisation, person, request_id, operation, institution_code, supplier_code, third_code,"
    " region"
)
"""What is said of a deed; its number, its hash and when it was recorded are the database's alone."""

_ORGANISATION = "(SELECT nullif(current_setting('app.org', true), ''))"
PLATFORM_GRANTS = {
    "outbox": ("INSERT, SELECT (id, recorded_at, sent_at)", "SELECT, INSERT, UPDATE (sent_at), DELETE"),
    "inbox": ("", "SELECT, INSERT"),
    "dead_letters": ("SELECT", "SELECT, INSERT, UPDATE (state, reason, note, settled_at)"),
    "deadlines": ("SELECT, INSERT, UPDATE (due_at), DELETE", "SELECT, INSERT, UPDATE (due_at), DELETE"),
    "jobs": ("SELECT, INSERT, UPDATE (natural_key)", "SELECT, INSERT, UPDATE"),
    "job_files": ("SELECT, INSERT", "SELECT, INSERT, DELETE"),
    "idempotency_keys": ("SELECT, INSERT", "SELECT, DELETE"),
    "history": (f"SELECT, INSERT ({_DEED})", f"SELECT, INSERT ({_DEED})"),
    "history_heads": ("SELECT", "SELECT"),
}
"""What the API and the worker may do with the tables that every service has: what they do, and nothing more."""


def statements(service: str, collections: Sequence[sa.MetaData]) -> Iterator[str]:
    """Every statement that puts the walls up; repeating them changes nothing."""
    for step in steps(service, collections):
        yield from step


def steps(service: str, collections: Sequence[sa.MetaData]) -> Iterator[list[str]]:
    """The same in steps, each a transaction, so that no two tables are locked at once while they are in use."""
    api, worker = api_role(service), worker_role(service)
    for role in (api, worker):
        yield [
            f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION"
            f" WHEN duplicate_object OR unique_violation THEN NULL; END $$",
            f"GRANT {role} TO CURRENT_USER",
            f"GRANT USAGE ON SCHEMA public TO {role}",
        ]
    yield list(upkeep.statements(worker))
    yield from ([upkeep.vacuuming(name)] for name in upkeep.COME_AND_GO)
    yield list(chain.statements(worker))
    yield list(once.statements(api))
    for collection in collections:
        for table in collection.sorted_tables:
            yield [*_grants(table, api, worker), *_policies(table, api, worker)]


def _grants(table: sa.Table, api: str, worker: str) -> Iterator[str]:
    own = "SELECT, INSERT" if table.info.get("append_only") else "SELECT, INSERT, UPDATE, DELETE"
    for role, allowed in zip((api, worker), PLATFORM_GRANTS.get(table.name, (own, own)), strict=True):
        yield f'REVOKE ALL ON "{table.name}" FROM {role}'
        if allowed:
            yield f'GRANT {allowed} ON "{table.name}" TO {role}'


def _policies(table: sa.Table, api: str, worker: str) -> Iterator[str]:
    if not table.info.keys() & {"private", "belongs_to"}:
        return
    name = table.name
    yield f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY'
    for policy in ("scoped", "adding", "reading", "platform"):
        yield f'DROP POLICY IF EXISTS {policy} ON "{name}"'
    if "belongs_to" in table.info:  # seen with what it belongs to, which may be written by the same statement
        yield f'CREATE POLICY scoped ON "{name}" TO {api} USING ({table.info["belongs_to"]}) WITH CHECK (true)'
    else:
        seen = visible(table)
        yield f'CREATE POLICY scoped ON "{name}" TO {api} USING ({seen}) WITH CHECK ({seen})'
        if readers := table.info["private"].get("readers"):
            read = " OR ".join(reader.format(organisation=_ORGANISATION) for reader in readers)
            yield f'CREATE POLICY reading ON "{name}" FOR SELECT TO {api} USING ({read})'
    yield f'CREATE POLICY platform ON "{name}" TO {worker} USING (true) WITH CHECK (true)'


def visible(table: sa.Table) -> str:
    """The condition under which a row may be seen; each setting is read once per statement.

    What the table adds to it (`also`), and who else may read and no more (`readers`), name the caller's organisation as
    `{organisation}`.
    """
    private = table.info["private"]
    reach = "(SELECT current_setting('app.reach', true))"
    organisation = _ORGANISATION
    conditions = [f"{reach} = 'all'"]
    for name in private["own"]:
        is_list = isinstance(table.c[name].type, sa.ARRAY)
        conditions.append(f'{organisation} = ANY("{name}")' if is_list else f'"{name}" = {organisation}')
    if private["region"]:
        region = "(SELECT current_setting('app.region', true))"
        conditions.append(f"({reach} = 'region' AND \"{private['region']}\" ^@ {region})")
    conditions += [condition.format(organisation=organisation) for condition in private["also"]]
    return " OR ".join(conditions)
