"""Opens a sheet that someone sent, by what the file is; a name that says something else is refused.

Invariant: whatever the bytes are, the answer is a Sheet within its limits or a SheetRefused that says why.
"""

from pathlib import Path

from shared.errors import Said
from shared.imports.csv_source import CsvSource, detected_encoding
from shared.imports.refusals import SheetRefused
from shared.imports.sheet import Sheet
from shared.imports.xlsx_source import XlsxSource
from shared.settings import SheetLimits

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_FOREIGN = {b"%PDF": "a PDF", b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"Rar!": "a rar archive"}
_KINDS = ".xlsx, or .csv in UTF-8 or GB18030"
_CHUNK_BYTES = 2**20


def open_sheet(path: Path, *, sheet: str | None = None, limits: SheetLimits | None = None) -> Sheet:
    """The sheet of a CSV, or of a workbook the one named (by default the first visible); close it after use.

    Without `limits` those of the environment hold. Raises SheetRefused for whatever cannot be read; faults deep in the
    file are raised while iterating.
    """
    limits = limits or SheetLimits()
    size = path.stat().st_size
    if size == 0:
        raise SheetRefused("sheet_empty", "the file is empty", allowed=_KINDS)
    if size > limits.file_bytes:
        raise SheetRefused(
            "sheet_too_large",
            Said("the file has {size:,} bytes", size=size),
            allowed=Said("at most {most:,} bytes", most=limits.file_bytes),
        )
    with path.open("rb") as file:
        head = file.read(len(_OLE))
    _refuse_foreign(path, head)
    workbook = head.startswith(_ZIP)
    _refuse_misnamed(path, workbook=workbook)
    source = XlsxSource(path, sheet, limits) if workbook else CsvSource(path, limits)
    try:
        return Sheet(source, limits)
    except SheetRefused:
        source.close()
        raise


def _refuse_foreign(path: Path, head: bytes) -> None:
    if head.startswith(_OLE):
        if _holds(path, _ENCRYPTED_STREAM):
            raise SheetRefused(
                "sheet_encrypted", "the workbook is protected by a password", allowed="a workbook without one"
            )
        raise SheetRefused("unknown_sheet_type", "the file is an old Office file (.xls)", allowed=_KINDS)
    for mark, what in _FOREIGN.items():
        if head.startswith(mark):
            raise SheetRefused("unknown_sheet_type", Said("the file is {what}", what=Said(what)), allowed=_KINDS)


def _refuse_misnamed(path: Path, *, workbook: bool) -> None:
    match path.suffix.lower():
        case ".csv" if workbook:
            raise SheetRefused(
                "sheet_misnamed",
                "the file was sent as .csv and is a zip, as workbooks are",
                allowed="a workbook as .xlsx",
            )
        case ".xlsx" if not workbook:
            what = "plain text" if _is_text(path) else "no workbook"
            raise SheetRefused(
                "sheet_misnamed",
                Said("the file was sent as .xlsx and is {what}", what=Said(what)),
                allowed="a workbook as .xlsx, text with commas as .csv",
            )


def _is_text(path: Path) -> bool:
    try:
        detected_encoding(path)
    except SheetRefused:
        return False
    return True


def _holds(path: Path, wanted: bytes) -> bool:
    carried = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            if wanted in carried + chunk:
                return True
            carried = chunk[-len(wanted) :]
    return False
