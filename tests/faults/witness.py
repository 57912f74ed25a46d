"""`python -m tests.faults.witness work orders`: `jicai` as it is, whose worker writes down beside each effect what it applied.

A row of its table has no key, and is committed with the effect: what is applied a second time stands there twice, whatever
inbox and natural keys make of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import asyncpg

from deploy import alone
from deploy.cli import app
from shared.db import Tx
from shared.inbox import Handler, Received
from shared.service import Service
from shared.settings import worker_role

_TABLE = """
CREATE TABLE IF NOT EXISTS witness (event_id uuid NOT NULL);
GRANT INSERT ON witness TO {role}
"""
_TELL = "INSERT INTO witness (event_id) SELECT unnest($1::uuid[])"


async def make_table(service: str, url: str) -> None:
    """Makes the table of a service in its database; `url` is its owner's."""
    owner = await asyncpg.connect(url)
    try:
        await owner.execute(_TABLE.format(role=worker_role(service)))
    finally:
        await owner.close()


def witnessed(service: Service) -> Service:
    """The service, each handler of which writes down the events that it is given."""
    return replace(service, handlers={kind: _witnessed(handler) for kind, handler in service.handlers.items()})


def _witnessed(handler: Handler) -> Handler:
    async def handle(tx: Tx, events: Sequence[Received[Any]]) -> None:
        await tx.sql(_TELL, [event.id for event in events])
        await handler(tx, events)

    return handle


def write_down() -> None:
    """From now on the worker of this process writes down what it applies."""
    unseen = alone.work_alone

    def work_alone(service: Service, *told: Any, **more: Any) -> None:
        unseen(witnessed(service), *told, **more)

    alone.work_alone = work_alone


def main() -> None:
    """The command line."""
    write_down()
    app()


if __name__ == "__main__":
    main()
