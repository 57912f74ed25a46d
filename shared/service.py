"""What a service is made of, as its app.py puts it together; everything that runs a service takes one of these."""

from collections.abc import Mapping
from dataclasses import field

from fastapi import APIRouter
from sqlalchemy import MetaData, Table

from shared.deadlines import Deadlines
from shared.inbox import Handlers
from shared.jobs import Jobs
from shared.republish import Projection, Republish
from shared.settings import ServiceSettings
from shared.values import frozen


@frozen
class Service:
    """One of the five: its name is its topic, its consumer group, its path and its audience."""

    name: str
    title: str
    settings: type[ServiceSettings]
    metadata: MetaData
    routers: tuple[APIRouter, ...]
    handlers: Handlers
    deadlines: Deadlines = field(default_factory=dict)
    jobs: Jobs = field(default_factory=dict)
    republish: Republish = field(default_factory=dict)
    projections: Mapping[str, Projection] = field(default_factory=dict)
    organisations: Table | None = None
    """where it knows enterprises by the `code` they trade under and their `uscc`"""

    @property
    def tags(self) -> Mapping[str, str]:
        """Its words in logs and metrics."""
        return {"service": self.name}
