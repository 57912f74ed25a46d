"""Long work over HTTP: a job's progress, and the sheet of what it refused."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from shared import jobs
from shared.errors import NotFound
from shared.http.edge import Edge, TxHere
from shared.http.schemas import View
from shared.next_steps import NextStep
from shared.reach import scope_of

REFUSED_FILE = "refused"

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SHEET_TYPES = {"text/csv": ".csv", XLSX: ".xlsx"}


class Workbook(Response):
    media_type = XLSX


class JobNotFound(NotFound):
    title = "No such job, or not yours"


class NothingRefused(NotFound):
    """Mend nothing; while the job still runs, ask again when it is done."""

    title = "This job refused no row"


class JobView(View):
    """A job: its state, how far it is, and what it came to."""

    id: UUID
    kind: str
    state: str
    done: int
    total: int | None
    refused: int
    result: dict[str, object] | None
    waits_for: NextStep | None

    @classmethod
    def of(cls, job: jobs.JobRow) -> "JobView":
        """Shows a job."""
        shown = {name: getattr(job, name) for name in cls.model_fields if name != "waits_for"}
        return cls(**shown, waits_for=jobs.next_step(job))


router = APIRouter(route_class=Edge, tags=["jobs"])


@router.get("/jobs/{job_id}")
async def get_job(job_id: UUID, tx: TxHere) -> JobView:
    """How far a job is."""
    return JobView.of(await _job(tx, job_id))


@router.get("/jobs/{job_id}/refused", response_class=Workbook)
async def get_refused(job_id: UUID, tx: TxHere) -> Response:
    """The refused rows as a sheet that can be mended and sent again."""
    await _job(tx, job_id)
    parts = await tx.rows(jobs.FILE, job_id=job_id, name=REFUSED_FILE, **scope_of(tx))
    if not parts:
        raise NothingRefused("Job {job_id} has refused nothing so far.", job_id=job_id)
    headers = {"content-disposition": f'attachment; filename="refused-{job_id}.xlsx"'}
    return Workbook(b"".join(bytes(part["bytes"]) for part in parts), headers=headers)


async def _job(tx: TxHere, job_id: UUID) -> jobs.JobRow:
    found = await tx.one(jobs.JobRow, jobs.GET, id=job_id, **scope_of(tx))
    if found is None:
        raise JobNotFound("There is no job {job_id} that you may see.", job_id=job_id)
    return found
