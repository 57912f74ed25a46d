"""Puts orders together."""

from services.orders import consumer
from services.orders.router import routers
from services.orders.settings import OrdersSettings
from services.orders.tables import enterprises, metadata
from shared.service import Service

service = Service(
    name="orders",
    title="Orders 采购订单",
    settings=OrdersSettings,
    metadata=metadata,
    routers=routers,
    handlers=consumer.HANDLERS,
    deadlines=consumer.DEADLINES,
    republish=consumer.REPUBLISH,
    projections=consumer.PROJECTIONS,
    organisations=enterprises,
)
