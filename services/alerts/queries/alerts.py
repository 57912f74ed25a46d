"""Raises, resolves and reads alerts: many in one statement, each locked in the order of ids."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.alerts.errors import AlertNotFound
from services.alerts.queries.scope import within
from services.alerts.rules.alerts import Alert, Kind, Remedy
from services.alerts.tables import acknowledgements, alerts
from shared.codes import region_prefix
from shared.db import Tx
from shared.errors import Said
from shared.values import frozen

_ALERT = ", ".join(map(str, alerts.c))
# Whatever stands in the way, the cause was told before, or an alert of this kind about this thing is open already.
_RAISE = f"""
INSERT INTO alerts (id, kind, about, about_id, cause, remedy_key, state, institution_code, supplier_code, region,
  product_code, detail, evidence, happened_at, manufacturer_code, raised_at, version)
SELECT id, kind, about, about_id, cause, remedy_key, 'open', institution_code, supplier_code, region,
  product_code, detail, evidence, happened_at, manufacturer_code, $15, 1
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
  $10::text[], $11::text[], $12::jsonb[], $13::timestamptz[], $14::text[])
  AS u(id, kind, about, about_id, cause, remedy_key, institution_code, supplier_code, region, product_code, detail,
    evidence, happened_at, manufacturer_code)
ORDER BY kind, about_id
ON CONFLICT DO NOTHING RETURNING {_ALERT}
"""  # noqa: S608  names are declared

_RESOLVE = f"""
WITH found AS (
  SELECT a.id, u.reason, u.evidence FROM alerts a
  JOIN unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $7::jsonb[])
    AS u(kind, key, reason, before, but_for, evidence)
    ON a.kind = u.kind AND a.remedy_key = u.key
  WHERE a.state = 'open' AND (u.before IS NULL OR a.happened_at < u.before)
    AND (u.but_for IS NULL OR a.about_id <> u.but_for)
  ORDER BY a.id FOR UPDATE OF a
)
UPDATE alerts SET state = 'resolved', resolved_at = $6, resolution = found.reason, version = alerts.version + 1,
  evidence = alerts.evidence || coalesce(found.evidence, '{{}}')
FROM found WHERE alerts.id = found.id AND alerts.state = 'open' RETURNING {_ALERT}
"""  # noqa: S608  names are declared

_MEET = """
INSERT INTO remedies AS t (kind, key, happened_at, reason, by_id, institution_code, region)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[])
  AS u(kind, key, happened_at, reason, by_id, institution_code, region) ORDER BY kind, key
ON CONFLICT (kind, key) DO UPDATE SET
  reason = CASE WHEN excluded.happened_at > coalesce(t.happened_at, '-infinity') THEN excluded.reason ELSE t.reason END,
  by_id = CASE WHEN excluded.happened_at > coalesce(t.happened_at, '-infinity') THEN excluded.by_id ELSE t.by_id END,
  happened_at = greatest(t.happened_at, excluded.happened_at)
RETURNING t.kind, t.key, t.reason, t.happened_at, t.by_id
"""

_LOCK = sa.select(alerts).where(alerts.c.id == sa.bindparam("id")).with_for_update()
_LOCK_ABOUT = (
    sa.select(alerts)
    .where(
        alerts.c.kind == sa.bindparam("kind"),
        alerts.c.about_id == sa.any_(sa.bindparam("about_ids", type_=sa.ARRAY(sa.Text))),
    )
    .order_by(alerts.c.id)
    .with_for_update()
)
_END = (
    sa.update(alerts)
    .where(alerts.c.id == sa.bindparam("key"))
    .values(
        state="resolved",
        resolved_at=sa.bindparam("at"),
        resolution=sa.bindparam("reason"),
        version=alerts.c.version + 1,
    )
)
_TOUCH = sa.update(alerts).where(alerts.c.id == sa.bindparam("key")).values(version=alerts.c.version + 1)
_ACKNOWLEDGED = (
    sa.select(
        acknowledgements.c.alert_id,
        acknowledgements.c.organisation_code,
        acknowledgements.c.person,
        acknowledgements.c.note,
        acknowledgements.c.acknowledged_at,
    )
    .where(acknowledgements.c.alert_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .order_by(acknowledgements.c.acknowledged_at)
)


@frozen
class Meeting:
    """What is told at the row where a trouble and its remedy meet; a trouble tells no time, it only looks."""

    kind: str
    key: str
    happened_at: datetime | None
    reason: Said | None
    by_id: str | None
    institution_code: str | None
    region: str


@frozen
class Acknowledgement:
    """Who has seen an alert, and what it says."""

    alert_id: UUID
    organisation_code: str
    person: str
    note: str
    acknowledged_at: datetime


@frozen
class Wanted:
    """Which alerts of a list are wanted."""

    kind: str | None = None
    state: str | None = None
    about: str | None = None
    about_id: str | None = None
    institution: str | None = None
    supplier: str | None = None
    product_code: str | None = None
    raised_from: datetime | None = None
    raised_before: datetime | None = None


@frozen
class Count:
    """How many alerts of a kind are in a state."""

    kind: str
    state: str
    count: int
    oldest_raised_at: datetime


async def insert_new(tx: Tx, rows: Sequence[Mapping[str, Any]], now: datetime) -> list[Alert]:
    """Those of the rows that raised an alert; the others were told before."""
    names = ("id", "kind", "about", "about_id", "cause", "remedy_key", "institution_code", "supplier_code", "region",
             "product_code", "detail", "evidence", "happened_at", "manufacturer_code")  # fmt: skip
    return [Alert(**row) for row in await tx.sql(_RAISE, *([row[name] for row in rows] for name in names), now)]


async def resolve_open(tx: Tx, remedies: Sequence[Remedy], now: datetime) -> list[Alert]:
    """The open alerts that these remedies resolved, as they are now."""
    columns = (
        [remedy.kind for remedy in remedies],
        [remedy.key for remedy in remedies],
        [remedy.reason for remedy in remedies],
        [remedy.before for remedy in remedies],
        [remedy.but_for for remedy in remedies],
    )
    figures = [remedy.evidence for remedy in remedies]
    return [Alert(**row) for row in await tx.sql(_RESOLVE, *columns, now, figures)]


async def meet(tx: Tx, meetings: Sequence[Meeting]) -> list[Remedy]:
    """Tells what remedied each kind and key, locks the rows, and returns the newest remedy of each that has one."""
    newest: dict[tuple[str, str], Meeting] = {}
    for meeting in meetings:
        known = newest.get((meeting.kind, meeting.key))
        if known is None or known.happened_at is None or (meeting.happened_at or known.happened_at) > known.happened_at:
            newest[meeting.kind, meeting.key] = meeting
    names = ("kind", "key", "happened_at", "reason", "by_id", "institution_code", "region")
    rows = await tx.sql(_MEET, *([getattr(one, name) for one in newest.values()] for name in names))
    return [
        Remedy(Kind(row["kind"]), row["key"], Said(row["reason"]), before=row["happened_at"], but_for=row["by_id"])
        for row in rows
        if row["happened_at"] is not None
    ]


async def lock_alert(tx: Tx, alert_id: UUID) -> Alert:
    """Raises AlertNotFound; the row is locked until the end of the transaction."""
    return await _get(tx, _LOCK.where(within(tx.scope, alerts)), alert_id)


async def lock_alerts_about(tx: Tx, kind: Kind, about_ids: Sequence[str]) -> dict[str, Alert]:
    """The alerts of a kind about these things, by thing, locked in the order of ids."""
    found = await tx.all(Alert, _LOCK_ABOUT, kind=kind, about_ids=sorted(set(about_ids))) if about_ids else []
    return {alert.about_id: alert for alert in found}


async def get_alert(tx: Tx, alert_id: UUID) -> Alert:
    """Raises AlertNotFound."""
    return await _get(
        tx, sa.select(alerts).where(alerts.c.id == sa.bindparam("id"), within(tx.scope, alerts)), alert_id
    )


async def _get(tx: Tx, statement: sa.Executable, alert_id: UUID) -> Alert:
    found = await tx.one(Alert, statement, id=alert_id)
    if found is None:
        raise AlertNotFound("There is no alert {alert_id} that you may see.", alert_id=alert_id)
    return found


async def end_by_hand(tx: Tx, alert_id: UUID, at: datetime, reason: str) -> None:
    """Resolves a locked alert."""
    await tx.rows(_END, key=alert_id, at=at, reason=reason)


async def raise_version(tx: Tx, alert_id: UUID) -> None:
    """Counts a change of a locked alert that leaves its state."""
    await tx.rows(_TOUCH, key=alert_id)


async def acknowledgements_of(tx: Tx, alert_ids: Sequence[UUID]) -> dict[UUID, list[Acknowledgement]]:
    """Who acknowledged each of these alerts, first to last."""
    found: dict[UUID, list[Acknowledgement]] = {}
    for one in await tx.all(Acknowledgement, _ACKNOWLEDGED, ids=alert_ids):
        found.setdefault(one.alert_id, []).append(one)
    return found


async def alerts_page(tx: Tx, wanted: Wanted, after: UUID | None, rows: int) -> list[Alert]:
    """Up to `rows` alerts within reach after a key, newest first."""
    statement = sa.select(alerts).where(within(tx.scope, alerts)).order_by(alerts.c.id.desc()).limit(rows)
    equal = {
        alerts.c.kind: wanted.kind,
        alerts.c.state: wanted.state,
        alerts.c.about: wanted.about,
        alerts.c.about_id: wanted.about_id,
        alerts.c.institution_code: wanted.institution,
        alerts.c.supplier_code: wanted.supplier,
        alerts.c.product_code: wanted.product_code,
    }
    for column, value in equal.items():
        if value is not None:
            statement = statement.where(column == value)
    if wanted.raised_from is not None:
        statement = statement.where(alerts.c.raised_at >= wanted.raised_from)
    if wanted.raised_before is not None:
        statement = statement.where(alerts.c.raised_at < wanted.raised_before)
    if after is not None:
        statement = statement.where(alerts.c.id < after)
    return await tx.all(Alert, statement)


async def counts(tx: Tx, region: str | None) -> list[Count]:
    """How many alerts of each kind and state lie within reach, and under a region if one is named."""
    statement = (
        sa.select(
            alerts.c.kind,
            alerts.c.state,
            sa.func.count().label("count"),
            sa.func.min(alerts.c.raised_at).label("oldest_raised_at"),
        )
        .where(within(tx.scope, alerts))
        .group_by(alerts.c.kind, alerts.c.state)
        .order_by(alerts.c.kind, alerts.c.state)
    )
    if region is not None:
        statement = statement.where(alerts.c.region.startswith(region_prefix(region), autoescape=True))
    return await tx.all(Count, statement)
