"""Puts alerts together."""

from services.alerts import consumer
from services.alerts.router import routers
from services.alerts.settings import AlertsSettings
from services.alerts.tables import metadata, organisations
from shared.service import Service

service = Service(
    name="alerts",
    title="Alerts and direct reports 预警与直报",
    settings=AlertsSettings,
    metadata=metadata,
    routers=routers,
    handlers=consumer.HANDLERS,
    deadlines=consumer.DEADLINES,
    projections=consumer.PROJECTIONS,
    organisations=organisations,
)
