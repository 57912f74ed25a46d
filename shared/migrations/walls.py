"""The second wall: roles that cannot bypass it, grants as small as they can be, row-level security on private tables.

The scoped queries are the first wall. Here the database itself lets a service's API see only rows of which the caller's
organisation is a party, or of the caller's region; the worker acts for the platform and sees all. History and the like
are append-only for both.
"""

from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from shared.migrations import chain, upkeep
from shared.settings import api_role, worker_role

APPEND_ONLY = ("history",)
"""Tables of which no role of a service may change or remove a row."""


def statements(service: str, collections: Sequence[sa.MetaData]) -> Iterator[str]:
    """Every statement that puts the walls up; repeating them changes nothing."""
    roles = (api_role(service), worker_role(service))
    for role in roles:
        yield (
            f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION"
            f" WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
        yield f"GRANT {role} TO CURRENT_USER"
        yield f"GRANT USAGE ON SCHEMA public TO {role}"
        yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    yield from upkeep.statements(worker_role(service))
    yield from chain.statements(worker_role(service))
    for collection in collections:
        for table in collection.sorted_tables:
            yield from _grants(table, roles)
            yield from _policies(table, *roles)


def _grants(table: sa.Table, roles: Iterable[str]) -> Iterator[str]:
    append_only = table.name in APPEND_ONLY or table.info.get("append_only")
    allowed = "SELECT, INSERT" if append_only else "SELECT, INSERT, UPDATE, DELETE"
    for role in roles:
        yield f'REVOKE ALL ON "{table.name}" FROM {role}'
        yield f'GRANT {allowed} ON "{table.name}" TO {role}'


def _policies(table: sa.Table, api: str, worker: str) -> Iterator[str]:
    if not table.info.keys() & {"private", "belongs_to"}:
        return
    name = table.name
    yield f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY'
    for policy in ("scoped", "adding", "platform"):
        yield f'DROP POLICY IF EXISTS {policy} ON "{name}"'
    if "belongs_to" in table.info:  # seen with what it belongs to, which may be written by the same statement
        yield f'CREATE POLICY scoped ON "{name}" TO {api} USING ({table.info["belongs_to"]}) WITH CHECK (true)'
    else:
        seen = visible(table)
        yield f'CREATE POLICY scoped ON "{name}" TO {api} USING ({seen}) WITH CHECK ({seen})'
    yield f'CREATE POLICY platform ON "{name}" TO {worker} USING (true) WITH CHECK (true)'


def visible(table: sa.Table) -> str:
    """The condition under which a row may be seen; each setting is read once per statement.

    What the table adds to it (`also`) may name the caller's organisation as `{organisation}`.
    """
    private = table.info["private"]
    reach = "(SELECT current_setting('app.reach', true))"
    organisation = "(SELECT nullif(current_setting('app.org', true), ''))"
    conditions = [f"{reach} = 'all'"]
    for name in private["own"]:
        is_list = isinstance(table.c[name].type, sa.ARRAY)
        conditions.append(f'{organisation} = ANY("{name}")' if is_list else f'"{name}" = {organisation}')
    if private["region"]:
        region = "(SELECT current_setting('app.region', true))"
        conditions.append(f"({reach} = 'region' AND \"{private['region']}\" ^@ {region})")
    conditions += [condition.format(organisation=organisation) for condition in private["also"]]
    return " OR ".join(conditions)
