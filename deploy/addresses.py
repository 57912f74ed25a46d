"""Where the running services are: for the story, the replay and the journeys, which are the same for one process and for ten."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from deploy.embedded import CannotStart


class Address(msgspec.Struct, frozen=True):
    """`api`: what the service's paths are put behind. `ops`: health, metrics, in-flight and clock of its worker."""

    api: str
    ops: str


Addresses = Mapping[str, Address]
"""By the name of the service."""


class NothingRuns(CannotStart):
    """No platform runs on this data folder."""


def addresses_file(data_dir: Path) -> Path:
    """Written when the platform is ready, removed when it stops."""
    return data_dir / "up.json"


def write(data_dir: Path, addresses: Addresses) -> None:
    """Says where the services are, in one step."""
    file = addresses_file(data_dir)
    aside = file.with_name(file.name + ".new")
    aside.write_bytes(msgspec.json.format(msgspec.json.encode(addresses)))
    aside.replace(file)


def read(data_dir: Path) -> dict[str, Address]:
    """Where the services are; raises NothingRuns."""
    try:
        return msgspec.json.decode(addresses_file(data_dir).read_bytes(), type=dict[str, Address])
    except FileNotFoundError as missing:
        raise NothingRuns(f"Nothing runs on {data_dir}; start it with `jicai run` or `jicai up`.") from missing
