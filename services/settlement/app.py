"""Puts settlement together."""

from services.settlement import consumer
from services.settlement.router import routers
from services.settlement.settings import SettlementSettings
from services.settlement.tables import metadata, organisations
from shared.service import Service

service = Service(
    name="settlement",
    title="Settlement 结算",
    settings=SettlementSettings,
    metadata=metadata,
    routers=routers,
    handlers=consumer.HANDLERS,
    deadlines=consumer.DEADLINES,
    jobs=consumer.JOBS,
    republish=consumer.REPUBLISH,
    projections=consumer.PROJECTIONS,
    organisations=organisations,
)
