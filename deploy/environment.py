"""What each service is told on the embedded default: settings for one process, variables for a process of its own.

What the environment already says wins: `ORDERS_DATABASE_URL` points orders at a real server, and so on for every setting.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from deploy import issuer
from deploy.wiring import told
from shared.service import Service
from shared.settings import EMBEDDED_ISSUER, PRODUCTION, ServiceSettings, api_role, worker_role
from shared.values import frozen


def database_name(service: str) -> str:
    """The name of a service's own database."""
    return f"jicai_{service}"


@frozen
class Embedded:
    """The embedded default: its data folder, and where its servers are. `kafka_bootstrap` None: one process, LocalBus."""

    data_dir: Path
    database_urls: Mapping[str, str]
    kafka_bootstrap: str | None = None

    def settings(self, service: Service) -> ServiceSettings:
        """The settings of a service that runs in this process; raises SettingsRefused."""
        return told(service.settings, **self._told(service.name))

    def variables(self, service: str) -> dict[str, str]:
        """The same as variables of the environment, for a process of its own."""
        return {
            _variable(service, name): value if isinstance(value, str) else orjson.dumps(value).decode()
            for name, value in self._told(service).items()
        }

    def _told(self, service: str) -> dict[str, Any]:
        said: dict[str, Any] = {
            "database_url": self.database_urls[service],
            "api_role": api_role(service),
            "worker_role": worker_role(service),
            "bus": "local" if self.kafka_bootstrap is None else "kafka",
            "kafka_bootstrap": self.kafka_bootstrap or "",
            "issuer": EMBEDDED_ISSUER,
            "jwks": str(issuer.jwks_file(self.data_dir)),
            "policy_files": [str(file) for file in sorted((self.data_dir / "policy").glob("*.toml"))],
            "embedded": PRODUCTION not in os.environ,
            "driven_clock": PRODUCTION not in os.environ,
            "heads_file": str(heads_folder(self.data_dir) / f"{service}.jsonl"),
            "clock_file": str(clock_file(self.data_dir)),
        }
        return {name: value for name, value in said.items() if _variable(service, name) not in os.environ}


def heads_folder(data_dir: Path) -> Path:
    """Where the heads of history are kept outside the databases, a file a service."""
    return data_dir / "heads"


def clock_file(data_dir: Path) -> Path:
    """Where a driven clock keeps the instant it has come to: a platform that is started again goes on there, because at
    real time every promise of the past would be broken at once."""
    return data_dir / "clock"


def _variable(service: str, name: str) -> str:
    return f"{service}_{name}".upper()
