"""Reads and stores direct reports; many are locked in the order of ids and stored by one statement."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.alerts.errors import ProblemNotFound
from services.alerts.queries.scope import within
from services.alerts.rules.problems import Problem
from services.alerts.rules.reports import Reported
from services.alerts.tables import alerts, order_lines, organisations, problems, replies
from shared.db import Tx
from shared.values import frozen

LINKED = 100
"""Related things that one view lists at most, newest first."""

CHANGING = ("id", "state", "handling_region", "assignee_code", "act_by", "finding", "resolved_at", "closed_at",
            "overdue_steps", "version")  # fmt: skip
# Replies follow their report to a new assignee, who must be able to read what was said before.
_HAND_OVER = """
UPDATE replies r SET assignee_code = u.assignee_code FROM unnest($1::uuid[], $2::text[]) AS u(problem_id, assignee_code)
WHERE r.problem_id = u.problem_id
"""
_NAMES = sa.select(organisations.c.code, organisations.c.name).where(
    organisations.c.code == sa.any_(sa.bindparam("codes", type_=sa.ARRAY(sa.Text)))
)

_GOING_BY = sa.select(organisations.c.code, organisations.c.uscc).where(
    sa.or_(
        organisations.c.code == sa.any_(sa.bindparam("codes", type_=sa.ARRAY(sa.Text))),
        organisations.c.uscc == sa.any_(sa.bindparam("codes", type_=sa.ARRAY(sa.Text))),
    )
)


@frozen
class Reply:
    """An answer of a party."""

    id: UUID
    problem_id: UUID
    by_code: str
    text: str
    evidence: dict[str, Any]
    replied_at: datetime


@frozen
class Wanted:
    """Which direct reports of a list are wanted."""

    kind: str | None = None
    state: str | None = None
    reporter: str | None = None
    respondent: str | None = None
    assignee: str | None = None
    product_code: str | None = None
    order_number: str | None = None
    reported_from: datetime | None = None
    reported_before: datetime | None = None
    overdue_at: datetime | None = None


async def lock_problems(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Problem]:
    """Those of the ids that are within reach, locked in the order of ids."""
    statement = (
        sa.select(problems)
        .where(problems.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))), within(tx.scope, problems))
        .order_by(problems.c.id)
        .with_for_update()
    )
    return {found.id: found for found in await tx.all(Problem, statement, ids=sorted(set(ids)))}


async def store(tx: Tx, changed: Sequence[Problem]) -> None:
    """Stores the steps of locked problems."""
    await tx.change(problems, [{name: getattr(problem, name) for name in CHANGING} for problem in changed])


async def hand_over(tx: Tx, assigned: Sequence[Problem]) -> None:
    """Lets new assignees read what was replied before."""
    await tx.sql(_HAND_OVER, [one.id for one in assigned], [one.assignee_code for one in assigned])


async def get_problem(tx: Tx, problem_id: UUID) -> Problem:
    """Raises ProblemNotFound."""
    statement = sa.select(problems).where(problems.c.id == problem_id, within(tx.scope, problems))
    found = await tx.one(Problem, statement)
    if found is None:
        raise not_found(problem_id)
    return found


def not_found(problem_id: UUID) -> ProblemNotFound:
    """The refusal of an id that is unknown or foreign."""
    return ProblemNotFound("There is no problem report {problem_id} that you may see.", problem_id=problem_id)


async def names_of(tx: Tx, codes: Sequence[str | None]) -> dict[str, str]:
    """The names of those of the organisations that are registered, by code."""
    found = await tx.rows(_NAMES, codes=sorted({code for code in codes if code is not None}))
    return {row["code"]: row["name"] for row in found}


async def registered_codes(tx: Tx, codes: Sequence[str | None]) -> dict[str, str]:
    """The registered organisations among the codes, with the code each goes by: another one than its USCC where that became
    known after registration."""
    found = await tx.rows(_GOING_BY, codes=sorted({code for code in codes if code is not None}))
    return {named: row["code"] for row in found for named in (row["code"], row["uscc"]) if named is not None}


async def parties_of_orders(tx: Tx, numbers: Sequence[str | None]) -> dict[str, frozenset[str]]:
    """Who takes part in the orders of these numbers, by number, of the orders in which the caller takes part or that lie
    within its reach; as far as orders has told."""
    names = ("institution_code", "supplier_code", "manufacturer_code")
    statement = sa.select(order_lines.c.order_number, *(order_lines.c[name] for name in names)).where(
        order_lines.c.order_number == sa.any_(sa.bindparam("numbers", type_=sa.ARRAY(sa.Text))),
        within(tx.scope, order_lines),
    )
    found: dict[str, set[str]] = {}
    for row in await tx.rows(statement, numbers=sorted({number for number in numbers if number is not None})):
        found.setdefault(row["order_number"], set()).update(row[name] for name in names if row[name] is not None)
    return {number: frozenset(parties) for number, parties in found.items()}


async def replies_of(tx: Tx, problem_id: UUID) -> list[Reply]:
    """The replies to a problem, first to last."""
    columns = [replies.c[name] for name in Reply.__annotations__]
    statement = (
        sa.select(*columns).where(replies.c.problem_id == problem_id, within(tx.scope, replies)).order_by(replies.c.id)
    )
    return await tx.all(Reply, statement)


async def related_ids(tx: Tx, problem: Problem, days: int) -> list[UUID]:
    """Other reports within reach on the same respondent, at most so many days apart, newest first."""
    if problem.respondent_code is None:
        return []
    span = timedelta(days=days)
    statement = (
        sa.select(problems.c.id)
        .where(
            problems.c.respondent_code == problem.respondent_code,
            problems.c.reported_at.between(problem.reported_at - span, problem.reported_at + span),
            problems.c.id != problem.id,
            within(tx.scope, problems),
        )
        .order_by(problems.c.reported_at.desc(), problems.c.id.desc())
        .limit(LINKED)
    )
    return [row["id"] for row in await tx.rows(statement)]


async def related_alert_ids(tx: Tx, problem: Problem) -> list[UUID]:
    """Open alerts within reach that concern the reporter and the respondent, on the product or order where one is named."""
    statement = sa.select(alerts.c.id).where(alerts.c.state == "open", within(tx.scope, alerts))
    for code in (problem.reporter_code, problem.respondent_code):
        if code is not None:
            statement = statement.where(sa.or_(alerts.c.institution_code == code, alerts.c.supplier_code == code))
    if problem.order_number is not None:
        statement = statement.where(alerts.c.evidence["order_number"].astext == problem.order_number)
    if problem.product_code is not None:
        statement = statement.where(alerts.c.product_code == problem.product_code)
    statement = statement.order_by(alerts.c.id.desc()).limit(LINKED)
    return [row["id"] for row in await tx.rows(statement)]


async def problems_page(tx: Tx, wanted: Wanted, after: UUID | None, rows: int) -> list[Problem]:
    """Up to `rows` reports within reach after a key, newest first."""
    statement = sa.select(problems).where(within(tx.scope, problems)).order_by(problems.c.id.desc()).limit(rows)
    equal = {
        problems.c.kind: wanted.kind,
        problems.c.state: wanted.state,
        problems.c.reporter_code: wanted.reporter,
        problems.c.respondent_code: wanted.respondent,
        problems.c.assignee_code: wanted.assignee,
        problems.c.product_code: wanted.product_code,
        problems.c.order_number: wanted.order_number,
    }
    for column, value in equal.items():
        if value is not None:
            statement = statement.where(column == value)
    if wanted.reported_from is not None:
        statement = statement.where(problems.c.reported_at >= wanted.reported_from)
    if wanted.reported_before is not None:
        statement = statement.where(problems.c.reported_at < wanted.reported_before)
    if wanted.overdue_at is not None:
        statement = statement.where(problems.c.act_by <= wanted.overdue_at)
    if after is not None:
        statement = statement.where(problems.c.id < after)
    return await tx.all(Problem, statement)


async def reported_between(tx: Tx, start: datetime, end: datetime) -> list[Reported]:
    """What was reported within reach from `start` and before `end`, first to last."""
    statement = (
        sa.select(*(problems.c[name] for name in Reported.__annotations__))
        .where(problems.c.reported_at >= start, problems.c.reported_at < end, within(tx.scope, problems))
        .order_by(problems.c.reported_at, problems.c.id)
    )
    return await tx.all(Reported, statement)
