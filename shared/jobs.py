"""Long work that survives a restart and tells its progress.

A job is a row; the worker takes one by a lease, does it in steps that each commit their effect together with how far the
job has come, and after a crash another worker goes on from the last step. A job talks to the outside world between its
transactions, never inside one.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from uuid_utils.compat import uuid7

from shared import telemetry
from shared.db import PLATFORM, Database, Tx, private
from shared.errors import Said, ServiceError
from shared.faults import TRANSIENT, cause_of
from shared.identity import Caller
from shared.next_steps import Actor, NextStep, Role
from shared.reach import seen
from shared.values import frozen

log = logging.getLogger(__name__)

PART_BYTES = 1024 * 1024
ATTEMPTS = 5

jobs = sa.Table(
    "jobs",
    PLATFORM,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("params", JSONB, nullable=False),
    sa.Column("cursor", JSONB, nullable=False),
    sa.Column("done", sa.Integer, nullable=False, server_default="0"),
    sa.Column("total", sa.Integer),
    sa.Column("refused", sa.Integer, nullable=False, server_default="0"),
    sa.Column("result", JSONB),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("leased_until", sa.DateTime(timezone=True)),
    sa.Column("made_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
    sa.Column("organisation", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("natural_key", sa.Text),
    sa.Column("request_id", sa.Text),
    sa.Column("traceparent", sa.Text),
    sa.UniqueConstraint("kind", "natural_key"),
    sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name="state"),
    info=private(("organisation",), "region"),
)
sa.Index("ix_jobs_open", jobs.c.id, postgresql_where=jobs.c.state.in_(["queued", "running"]))

job_files = sa.Table(
    "job_files",
    PLATFORM,
    sa.Column("job_id", sa.Uuid, sa.ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("bytes", sa.LargeBinary, nullable=False),
    info={"belongs_to": "EXISTS (SELECT FROM jobs WHERE jobs.id = job_id)"},
)

# A lease lasts 60 seconds and is renewed by every step.
_TAKE = (
    "UPDATE jobs SET state = 'running', leased_until = clock_timestamp() + interval '60 seconds', attempts = attempts + 1"
    " WHERE id = (SELECT id FROM jobs WHERE state IN ('queued', 'running')"
    " AND (leased_until IS NULL OR leased_until < clock_timestamp()) ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " RETURNING id, kind, params, organisation, region, person, cursor, done, total, refused, attempts, request_id,"
    " traceparent"
)
_STEP = (
    "UPDATE jobs SET cursor = $2, done = $3, total = $4, refused = $5, attempts = 0,"
    " leased_until = clock_timestamp() + interval '60 seconds' WHERE id = $1"
)
_END = "UPDATE jobs SET state = $2, result = $3, ended_at = clock_timestamp(), leased_until = NULL WHERE id = $1"


@dataclass(slots=True)
class Job:
    """A job in hand: change `cursor`, `done`, `total`, `refused` inside a step and they are kept with its effect."""

    id: UUID
    kind: str
    params: dict[str, Any]
    caller: Caller
    database: Database
    cursor: dict[str, Any] = field(default_factory=dict)
    done: int = 0
    total: int | None = None
    refused: int = 0
    request_id: str | None = None
    traceparent: str | None = None
    """Of the request that asked for it."""

    @asynccontextmanager
    async def step(self) -> AsyncIterator[Tx]:
        """One transaction of the job; its progress commits with its effect and renews the lease."""
        async with self.database.transaction() as tx:
            yield tx
            await tx.sql(_STEP, self.id, self.cursor, self.done, self.total, self.refused)


Run = Callable[[Job], Awaitable[Mapping[str, Any]]]
"""Does a job to its end and returns what it came to."""
Jobs = Mapping[str, Run]


def queue(tx: Tx, kind: str, params: dict[str, Any], caller: Caller, natural_key: str | None = None) -> UUID:
    """Puts a job into the queue, in this transaction; with a natural key a second one of its kind is refused."""
    job_id = uuid7()
    tx.add(
        jobs,
        {
            "id": job_id,
            "kind": kind,
            "state": "queued",
            "params": params,
            "cursor": {},
            "organisation": caller.organisation,
            "person": caller.person,
            "region": caller.region,
            "natural_key": natural_key,
            "request_id": telemetry.request_id.get(),
            "traceparent": telemetry.traceparent.get(),
        },
    )
    tx.wakes_relay = True
    return job_id


async def take(database: Database) -> Job | None:
    """The next job whose lease is free, now leased to us."""
    async with database.transaction() as tx:
        rows = await tx.sql(_TAKE)
    if not rows:
        return None
    row = rows[0]
    job = Job(
        id=row["id"],
        kind=row["kind"],
        params=row["params"],
        caller=Caller(row["organisation"], frozenset(), row["region"], row["person"]),
        database=database,
        cursor=row["cursor"],
        done=row["done"],
        total=row["total"],
        refused=row["refused"],
        request_id=row["request_id"],
        traceparent=row["traceparent"],
    )
    if row["attempts"] > ATTEMPTS:
        await end(job, "failed", {"reason": f"tried {ATTEMPTS} times without getting on"})
        return None
    return job


async def end(job: Job, state: str, result: Mapping[str, Any]) -> None:
    """Closes a job, as `done` or `failed`."""
    async with job.database.transaction() as tx:
        await tx.sql(_END, job.id, state, dict(result))


async def run_next(database: Database, kinds: Jobs) -> bool:
    """Takes and does one job; says whether there was one. A fault of the road leaves it to be taken again."""
    job = await take(database)
    if job is None:
        return False
    with telemetry.belonging_to(job.request_id, job.traceparent), telemetry.doing(job.kind):
        await _do(job, kinds[job.kind])
    return True


async def _do(job: Job, run: Run) -> None:
    try:
        result = await run(job)
    except ServiceError as error:
        if error.status == 503:  # noqa: PLR2004  Unavailable: taken again when the lease ends
            return
        await end(job, "failed", {"reason": error.detail, "code": error.code})
    except TRANSIENT as error:
        log.warning("job interrupted", extra={"job_id": str(job.id), "reason": cause_of(error)})
    else:
        await end(job, "done", result)


async def count_open(database: Database) -> int:
    """How many jobs are waiting or running."""
    async with database.transaction() as tx:  # jobs are private: without a scope the API's role would count none
        rows = await tx.sql("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')")
    return int(rows[0][0])


@frozen
class JobRow:
    """A job as it is shown."""

    id: UUID
    kind: str
    state: str
    done: int
    total: int | None
    refused: int
    result: dict[str, Any] | None
    made_at: datetime
    ended_at: datetime | None
    organisation: str


GET = sa.select(*(jobs.c[name] for name in JobRow.__annotations__)).where(jobs.c.id == sa.bindparam("id"), seen(jobs))


def next_step(job: JobRow) -> NextStep | None:
    """Whom a job waits for: the worker, an operator where it failed, its sender where rows were refused."""
    match job.state:
        case "queued" | "running":
            what = Said("go on with the work; {done} done", done=job.done)
            if job.total is not None:
                what = Said("go on with the work; {done} of {total} done", done=job.done, total=job.total)
            return NextStep(who=Actor(role=Role.PLATFORM), what=what)
        case "failed":
            what = Said("find out why the job failed, and have it sent again")
            return NextStep(who=Actor(role=Role.OPERATOR), what=what)
        case _ if job.refused:
            what = Said(
                "mend the {count:#refused row}, which `get_refused` gives as a sheet, and send them again",
                count=job.refused,
            )
            return NextStep(who=Actor(role=Role.SENDER, code=job.organisation), what=what)
    return None


FILE = (
    sa.select(job_files.c.bytes)
    .join_from(job_files, jobs)
    .where(job_files.c.job_id == sa.bindparam("job_id"), job_files.c.name == sa.bindparam("name"), seen(jobs))
    .order_by(job_files.c.part)
)


async def store_file(tx: Tx, job_id: UUID, name: str, data: bytes, first_part: int = 0) -> int:
    """Keeps bytes with a job, in parts; returns the number of the next part."""
    parts = [data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES)]
    for place, part in enumerate(parts, first_part):
        tx.add(job_files, {"job_id": job_id, "name": name, "part": place, "bytes": part})
    await tx.flush()
    return first_part + len(parts)


async def read_file(database: Database, job_id: UUID, name: str) -> AsyncIterator[bytes]:
    """The parts of a file of a job, one after the other, so that a large one is never in memory whole."""
    part = 0
    while True:
        found = await database.pool.fetchval(
            "SELECT bytes FROM job_files WHERE job_id = $1 AND name = $2 AND part = $3", job_id, name, part
        )
        if found is None:
            return
        yield bytes(found)
        part += 1
