"""Raises, acknowledges and resolves alerts; every change is noted and said, a cause told twice raises nothing twice."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.alerts.errors import AlreadyAcknowledged
from services.alerts.queries import alerts as queries
from services.alerts.rules.alerts import (
    Alert,
    Cause,
    Remedy,
    State,
    check_acknowledgement,
    check_resolution,
)
from services.alerts.schemas.alerts import Acknowledge, Resolve
from services.alerts.tables import acknowledgements, alerts
from shared import clock, history, outbox
from shared.db import Tx
from shared.events.alerts import AlertAcknowledged, AlertRaised, AlertResolved
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller


async def raise_alerts(tx: Tx, causes: Sequence[Cause]) -> list[Alert]:
    """Raises one alert for each cause that is new; returns those raised."""
    if not causes:
        return []
    once = {(cause.kind, cause.about_id): cause for cause in causes}
    rows = [
        {
            "id": uuid7(),
            "kind": cause.kind,
            "about": cause.about,
            "about_id": cause.about_id,
            "cause": cause.cause,
            "remedy_key": cause.remedy_key,
            "institution_code": cause.institution_code,
            "supplier_code": cause.supplier_code,
            "region": cause.region,
            "product_code": cause.product_code,
            "detail": cause.detail,
            "evidence": cause.evidence,
            "happened_at": cause.happened_at,
            "manufacturer_code": cause.manufacturer_code,
        }
        for cause in once.values()
    ]
    raised = await queries.insert_new(tx, rows, clock.now())
    for alert in raised:
        _note(tx, BY_ITSELF, alert, "raised", {"detail": alert.detail, "evidence": alert.evidence})
        outbox.record(tx, _raised(alert), alert.version)
    return raised


async def add_evidence(tx: Tx, changed: Sequence[Alert]) -> None:
    """The same came to light once more: these alerts, which are locked, have more evidence now."""
    after = [replace(alert, version=alert.version + 1) for alert in changed]
    for alert in after:
        _note(tx, BY_ITSELF, alert, "found_again", {"evidence": alert.evidence})
    await tx.change(alerts, [{"id": one.id, "evidence": one.evidence, "version": one.version} for one in after])


async def resolve_alerts(tx: Tx, remedies: Sequence[Remedy]) -> list[Alert]:
    """Resolves the open alerts whose cause is gone; returns them."""
    if not remedies:
        return []
    resolved = await queries.resolve_open(tx, remedies, clock.now())
    for alert in resolved:
        _say_resolved(tx, BY_ITSELF, alert)
    return resolved


async def acknowledge_alert(
    tx: Tx, caller: Caller, alert_id: UUID, command: Acknowledge
) -> tuple[Alert, list[queries.Acknowledgement]]:
    """A party says that it has seen the alert; once per organisation. Raises AlertNotFound and what the rules raise."""
    alert = await queries.lock_alert(tx, alert_id)
    check_acknowledgement(alert, caller.organisation, agency="agency" in caller.roles)
    known = (await queries.acknowledgements_of(tx, [alert_id])).get(alert_id, [])
    if any(one.organisation_code == caller.organisation for one in known):
        raise AlreadyAcknowledged(
            "{organisation} has acknowledged alert {alert_id} before.",
            organisation=caller.organisation,
            alert_id=alert_id,
        )
    await queries.raise_version(tx, alert_id)
    after = replace(alert, version=alert.version + 1)
    mine = queries.Acknowledgement(alert_id, caller.organisation, caller.person, command.note, clock.now())
    tx.add(
        acknowledgements,
        {
            "alert_id": alert_id,
            "organisation_code": mine.organisation_code,
            "person": mine.person,
            "note": mine.note,
            "acknowledged_at": mine.acknowledged_at,
            "institution_code": alert.institution_code,
            "supplier_code": alert.supplier_code,
            "region": alert.region,
            "manufacturer_code": alert.manufacturer_code,
        },
    )
    seen_by = [one.organisation_code for one in known]
    moved = {"acknowledged_by": [seen_by, [*seen_by, mine.organisation_code]]}
    _note(tx, caller, after, "acknowledged", {"note": command.note, "changes": moved})
    said = AlertAcknowledged(
        alert_id=alert.id,
        kind=alert.kind,
        about=alert.about,
        about_id=alert.about_id,
        region=alert.region,
        organisation_code=caller.organisation,
        acknowledged_at=mine.acknowledged_at,
        note=command.note,
    )
    outbox.record(tx, said, after.version)
    return after, [*known, mine]


async def resolve_by_hand(tx: Tx, caller: Caller, alert_id: UUID, command: Resolve) -> Alert:
    """The authority ends an alert whose cause ended outside the platform. Raises AlertNotFound and what the rules raise."""
    alert = await queries.lock_alert(tx, alert_id)
    check_resolution(alert)
    now = clock.now()
    await queries.end_by_hand(tx, alert_id, now, command.reason)
    after = replace(alert, state=State.RESOLVED, resolved_at=now, resolution=command.reason, version=alert.version + 1)
    _say_resolved(tx, caller, after)
    return after


def _say_resolved(tx: Tx, who: Caller, alert: Alert) -> None:
    moved = {"state": [State.OPEN, alert.state]}
    _note(tx, who, alert, "resolved", {"reason": alert.resolution, "changes": moved})
    said = AlertResolved(
        alert_id=alert.id,
        kind=alert.kind,
        about=alert.about,
        about_id=alert.about_id,
        region=alert.region,
        resolved_at=alert.resolved_at or clock.now(),
        reason=alert.resolution or "",
    )
    outbox.record(tx, said, alert.version)


def _raised(alert: Alert) -> AlertRaised:
    return AlertRaised(
        alert_id=alert.id,
        kind=alert.kind,
        about=alert.about,
        about_id=alert.about_id,
        institution_code=alert.institution_code,
        supplier_code=alert.supplier_code,
        region=alert.region,
        raised_at=alert.raised_at,
        detail=alert.detail,
    )


def _note(tx: Tx, who: Caller, alert: Alert, action: str, detail: dict[str, Any]) -> None:
    parties = Parties(alert.institution_code, alert.supplier_code, alert.region, alert.manufacturer_code)
    history.note(tx, who, alert.id, action, parties, detail)
