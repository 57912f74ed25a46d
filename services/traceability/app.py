"""Puts traceability together."""

from services.traceability import consumer
from services.traceability.router import routers
from services.traceability.settings import TraceabilitySettings
from services.traceability.tables import metadata, organisations
from shared.service import Service

service = Service(
    name="traceability",
    title="Traceability 追溯",
    settings=TraceabilitySettings,
    metadata=metadata,
    routers=routers,
    handlers=consumer.HANDLERS,
    deadlines=consumer.DEADLINES,
    republish=consumer.REPUBLISH,
    projections=consumer.PROJECTIONS,
    organisations=organisations,
)
