"""Large sheets are read as a stream: the peak of a fresh process stays far below the 300 MB that a job may use."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.imports import write_refused

_READ = """
import pathlib, sys
from shared.imports import open_sheet
with open_sheet(pathlib.Path(sys.argv[1])) as sheet:
    rows = sum(1 for row in sheet)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(rows, int(peak.split()[1]) // 1024)
"""
_WRITE = """
import pathlib, sys
from shared.imports import write_refused
cells = [f"浙江某某医药有限责任公司第{n}分公司" for n in range(12)]
rows = write_refused(pathlib.Path(sys.argv[1]), cells, ((cells, []) for _ in range(20_000)))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(rows, int(peak.split()[1]) // 1024)
"""
PROJECT = Path(__file__).parents[3]
COLUMNS = 12

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")


def _rows_and_peak_mb(program: str, path: Path) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-c", program, path], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    rows, peak = done.stdout.split()
    return int(rows), int(peak)


def _names(row: int) -> Iterator[str]:
    return (f"第{row}号医药有限责任公司第{column}分公司" for column in range(COLUMNS))


def test_csv_of_300000_rows_stays_under_100_mb(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("w", encoding="gb18030", newline="") as file:
        file.writelines(",".join(_names(row)) + "\n" for row in range(300_001))
    rows, peak_mb = _rows_and_peak_mb(_READ, path)
    assert rows == 300_000
    assert peak_mb < 100


def test_workbook_of_half_a_million_different_texts_stays_under_100_mb(tmp_path: Path) -> None:
    path, rows = tmp_path / "large.xlsx", 40_000
    write_refused(path, ["x"], [])
    strings = "".join(f"<si><t>{name}</t></si>" for row in range(rows + 1) for name in _names(row))
    with zipfile.ZipFile(path) as small:
        parts = {name: small.read(name) for name in small.namelist()}
    relation = '<Relationship Id="x" Type="http://x/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
    parts["xl/_rels/workbook.xml.rels"] = (
        parts["xl/_rels/workbook.xml.rels"].decode().replace("</Relationships>", relation).encode()
    )
    parts["xl/sharedStrings.xml"] = f"<sst>{strings}</sst>".encode()
    cells = "".join(
        "<row>" + "".join(f'<c t="s"><v>{row * COLUMNS + column}</v></c>' for column in range(COLUMNS)) + "</row>"
        for row in range(rows + 1)
    )
    parts["xl/worksheets/sheet1.xml"] = f"<worksheet><sheetData>{cells}</sheetData></worksheet>".encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    read, peak_mb = _rows_and_peak_mb(_READ, path)
    assert read == rows
    assert peak_mb < 100


def test_refused_workbook_is_written_as_a_stream(tmp_path: Path) -> None:
    written, peak_mb = _rows_and_peak_mb(_WRITE, tmp_path / "refused.xlsx")
    assert written == 20_000
    assert peak_mb < 100
