"""The five services by name; a process imports only those that it runs."""

import difflib
import importlib

from deploy.embedded import CannotStart
from shared.service import Service

NAMES = ("listing", "orders", "settlement", "traceability", "alerts")


class NoSuchService(CannotStart):
    """A name that is none of the five."""


def load(name: str) -> Service:
    """The service of that name; raises NoSuchService, naming the nearest one."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}."
        raise NoSuchService(f"There is no service {name!r}; {hint}")
    service: Service = importlib.import_module(f"services.{name}.app").service
    return service


def load_all() -> list[Service]:
    """All five."""
    return [load(name) for name in NAMES]
