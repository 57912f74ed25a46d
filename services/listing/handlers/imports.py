"""Imports sheets: takes one as a job, lands its rows in steps through the bulk handlers, returns those refused as a sheet.

Each step commits its rows together with how far the job has come, so a restart goes on behind the last step and doubles
nothing; the same sheet sent again by the same organisation is the same job.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.listing.handlers.sheets import (
    KINDS,
    FirstRows,
    SheetKind,
    command_of,
    import_refused,
    mapping_of,
    refusals_of,
)
from services.listing.queries.imports import forget_file, known_job
from shared import jobs, tongue
from shared.db import Scope, Tx
from shared.errors import Said, ServiceError
from shared.http import Command
from shared.http.jobs import REFUSED_FILE
from shared.identity import Caller
from shared.imports import Binder, Refusal, Row, RowRefused, Sheet, SheetRefused, open_sheet, write_refused
from shared.jobs import Job
from shared.settings import SheetLimits

JOB = "import"
SHEET_FILE = "sheet"
REFUSED_ROWS_FILE = "refused rows"
STEP_ROWS = 1_000
READ_WHOLE_BYTES = 8 * 1024 * 1024
"""Up to this size a sheet is read to its end before it is taken, so that a fault deep in it is answered at once."""
STEP_TRIES = 3
"""Of a step that met a request registering the same code at the same time."""


async def take_sheet(
    tx: Tx, caller: Caller, kind: str, way: str, mapping: str, path: Path, digest: str, limits: SheetLimits
) -> tuple[UUID, bool]:
    """Queues the import of a sheet whose rows land by `way`, one of its kind's; returns its job, and whether it is known
    from before. Raises ImportRefused."""
    await asyncio.to_thread(_check, kind, mapping, path, limits)
    natural_key = f"{kind}:{mapping}:{caller.organisation}:{digest}"
    if (known := await known_job(tx, JOB, natural_key)) is not None:
        return known, True
    scope = tx.scope
    params = {
        "kind": kind,
        "way": way,
        "mapping": mapping,
        "sha256": digest,
        "scope": asdict(scope),
        "suffix": path.suffix,
    }
    params["language"] = tongue.choice.get().language
    job_id = jobs.queue(tx, JOB, params, caller, natural_key)
    await _store(tx, job_id, SHEET_FILE, path)
    return job_id, False


def _check(kind: str, mapping: str, path: Path, limits: SheetLimits) -> None:
    columns = mapping_of(kind, mapping)
    try:
        with open_sheet(path, sheet=columns.sheet, limits=limits) as sheet:
            KINDS[kind].bind(columns, sheet.header)
            if path.stat().st_size <= READ_WHOLE_BYTES:
                _count(sheet)
    except SheetRefused as error:
        raise import_refused(error) from error


def _count(sheet: Sheet) -> int:
    return sum(1 for _ in sheet)


async def _store(tx: Tx, job_id: UUID, name: str, path: Path) -> None:
    part = 0
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, jobs.PART_BYTES):
            part = await jobs.store_file(tx, job_id, name, piece, part)


async def run_import(job: Job) -> dict[str, Any]:
    """Does the job, from wherever it is, to its end; what it refuses is said in the language of who sent the sheet."""
    with tongue.speaking(job.params.get("language", tongue.ENGLISH)):
        try:
            return await _run(job)
        except SheetRefused as error:
            refused = import_refused(error)
            refused.detail = Said(tongue.spoken(refused.detail))
            raise refused from error


async def _run(job: Job) -> dict[str, Any]:
    kind = KINDS[job.params["kind"]]
    columns = mapping_of(job.params["kind"], job.params["mapping"])
    with TemporaryDirectory(prefix="jicai-import-") as folder:
        path = Path(folder) / f"sheet{job.params['suffix']}"
        await _fetch(job, SHEET_FILE, path)
        limits = job.database.limits.sheet
        sheet = await asyncio.to_thread(open_sheet, path, sheet=columns.sheet, limits=limits)
        with sheet:
            binder = kind.bind(columns, sheet.header)
            await _land(job, kind, sheet, binder)
            if job.refused and not job.cursor.get("returned"):
                await _return_refused(job, sheet.header, Path(folder), columns.sheet)
    return {
        "rows": job.done,
        "landed": job.done - job.refused,
        "refused": job.refused,
        "columns_absent": [binder.columns[name] for name in binder.absent],
        "columns_unread": binder.unread,
    }


async def _land(job: Job, kind: SheetKind, sheet: Sheet, binder: Binder) -> None:
    if job.total is None:
        total = await asyncio.to_thread(_count, sheet)
        async with job.step():
            job.total = total
    rows, first = iter(sheet), FirstRows(kind)
    landed = 0
    while landed < job.done:  # before a restart; read again for what they were the first to say
        landed += len(await asyncio.to_thread(_batch, kind, islice(rows, job.done - landed), binder, first))
    while batch := await asyncio.to_thread(_batch, kind, rows, binder, first):
        await _step(job, kind, binder, batch)


Read = tuple[Row, Command | tuple[Refusal, ...]]
"""A row, and what it asks for or why it cannot be read."""


def _batch(kind: SheetKind, rows: Iterator[Row], binder: Binder, first: FirstRows) -> list[Read]:
    read: list[Read] = []
    for row in islice(rows, STEP_ROWS):
        try:
            command = command_of(kind, row, binder)
            first.check(row, binder, command)
            read.append((row, command))
        except RowRefused as error:
            read.append((row, error.refusals))
    return read


async def _step(job: Job, kind: SheetKind, binder: Binder, batch: Sequence[Read]) -> None:
    done, refused, part = job.done, job.refused, int(job.cursor.get("refused_part", 0))
    good = [(row, asked) for row, asked in batch if isinstance(asked, Command)]
    bad = [(row, asked) for row, asked in batch if not isinstance(asked, Command)]
    for attempt in range(1, STEP_TRIES + 1):
        try:
            async with job.step() as tx:
                # The worker sees all; what a row may do is still bounded by who sent the sheet.
                tx.scope = Scope(**job.params["scope"])
                land = kind.ways[job.params.get("way") or next(iter(kind.ways))]  # a job may be older than the word
                outcomes = await land(tx, job.caller, [asked for _, asked in good]) if good else []
                missed = [
                    (row, refusals_of(row, binder, outcome))
                    for (row, _), outcome in zip(good, outcomes, strict=True)
                    if isinstance(outcome, ServiceError)
                ]
                back = sorted([*bad, *missed], key=lambda pair: pair[0].number)
                next_part = await jobs.store_file(tx, job.id, REFUSED_ROWS_FILE, _lines(back), part) if back else part
                job.cursor = {**job.cursor, "refused_part": next_part}
                job.done, job.refused = done + len(batch), refused + len(back)
        except asyncpg.UniqueViolationError:
            job.done, job.refused = done, refused
            if attempt == STEP_TRIES:
                raise
        else:
            return


def _lines(back: Sequence[tuple[Row, tuple[Refusal, ...]]]) -> bytes:
    return b"".join(
        orjson.dumps({"cells": row.cells, "refusals": [_spoken(one) for one in refusals]}) + b"\n"
        for row, refusals in back
    )


def _spoken(refusal: Refusal) -> dict[str, Any]:
    return asdict(refusal) | {"rule": tongue.spoken(refusal.rule), "allowed": tongue.spoken(refusal.allowed)}


async def _return_refused(job: Job, header: Sequence[str], folder: Path, sheet: str | None) -> None:
    """Writes the refused rows as the sheet that can be mended and sent again."""
    lines, back = folder / "refused.jsonl", folder / "refused.xlsx"
    await _fetch(job, REFUSED_ROWS_FILE, lines)
    await asyncio.to_thread(_write_back, lines, back, header, sheet)
    async with job.step() as tx:
        await _store(tx, job.id, REFUSED_FILE, back)
        await forget_file(tx, job.id, REFUSED_ROWS_FILE)
        job.cursor = {**job.cursor, "returned": True}


def _write_back(lines: Path, back: Path, header: Sequence[str], sheet: str | None) -> None:
    named = {"sheet": sheet} if sheet else {}
    with lines.open("rb") as file:
        write_refused(back, header, (_row_back(line) for line in file), **named)


def _row_back(line: bytes) -> tuple[Sequence[str], list[Refusal]]:
    read = orjson.loads(line)
    return read["cells"], [Refusal(**one) for one in read["refusals"]]


async def _fetch(job: Job, name: str, path: Path) -> None:
    with path.open("wb") as file:
        async for part in jobs.read_file(job.database, job.id, name):
            await asyncio.to_thread(file.write, part)
