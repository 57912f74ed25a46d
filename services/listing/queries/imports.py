"""Finds the job of a sheet that was sent before, and keeps two equal sheets sent at once apart."""

from uuid import UUID

import sqlalchemy as sa

from shared.db import Tx, lock_number
from shared.jobs import job_files, jobs

_KNOWN = sa.select(jobs.c.id, jobs.c.state).where(
    jobs.c.kind == sa.bindparam("kind"), jobs.c.natural_key == sa.bindparam("natural_key")
)
_LET_GO = sa.update(jobs).where(jobs.c.id == sa.bindparam("job_id")).values(natural_key=sa.null())
_FORGET = sa.delete(job_files).where(
    job_files.c.job_id == sa.bindparam("job_id"), job_files.c.name == sa.bindparam("name")
)


async def known_job(tx: Tx, kind: str, natural_key: str) -> UUID | None:
    """The job of this key; until our commit nobody else can ask. A job that failed gives its key up, so that the same
    sheet can be tried again."""
    await tx.sql("SELECT pg_advisory_xact_lock($1)", lock_number(f"{kind}:{natural_key}"))
    found = await tx.row(_KNOWN, kind=kind, natural_key=natural_key)
    if found is None:
        return None
    if found["state"] == "failed":
        await tx.rows(_LET_GO, job_id=found["id"])
        return None
    job_id: UUID = found["id"]
    return job_id


async def forget_file(tx: Tx, job_id: UUID, name: str) -> None:
    """Removes a file of a job."""
    await tx.rows(_FORGET, job_id=job_id, name=name)
