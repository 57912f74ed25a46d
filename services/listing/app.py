"""Puts listing together."""

from services.listing import consumer
from services.listing.router import routers
from services.listing.settings import ListingSettings
from services.listing.tables import enterprises, metadata
from shared.service import Service

service = Service(
    name="listing",
    title="Listing 挂网",
    settings=ListingSettings,
    metadata=metadata,
    routers=routers,
    handlers=consumer.HANDLERS,
    deadlines=consumer.DEADLINES,
    jobs=consumer.JOBS,
    republish=consumer.REPUBLISH,
    organisations=enterprises,
)
