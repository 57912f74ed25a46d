"""Where a command finds the database of a service: where its variables point, else on the embedded default of a data folder."""

import os
from pathlib import Path

from deploy.environment import Embedded, database_name
from deploy.postgres import server_url
from deploy.wiring import told
from shared.service import Service
from shared.settings import ServiceSettings


def settings_of(service: Service, data: Path) -> ServiceSettings:
    """What the service is told, by its own variables or by the data folder; raises CannotStart where neither says it."""
    if f"{service.name}_database_url".upper() in os.environ:
        return told(service.settings)
    folder = data.expanduser().resolve()
    return Embedded(folder, {service.name: f"{server_url(folder)}/{database_name(service.name)}"}).settings(service)
