"""Makes small workbooks by hand, part by part, so that a test can damage exactly one thing."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'

Parts = dict[str, str | None]


def _default_parts(rows: str, strings: str, styles: str, workbook: str) -> Parts:
    return {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": (
            f"<Relationships {_RELATIONS}>"
            f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": (
            f'<workbook {_MAIN} xmlns:r="{_OFFICE}">{workbook}'
            '<sheets><sheet name="隐" state="hidden" r:id="r4"/><sheet name="目录" r:id="r1"/></sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": (
            f"<Relationships {_RELATIONS}>"
            f'<Relationship Id="r1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="r2" Type="{_OFFICE}/sharedStrings" Target="/xl/sharedStrings.xml"/>'
            f'<Relationship Id="r3" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>'
        ),
        "xl/worksheets/sheet1.xml": f"<worksheet {_MAIN}><sheetData>{rows}</sheetData></worksheet>",
        "xl/sharedStrings.xml": f"<sst {_MAIN}>{strings}</sst>",
        "xl/styles.xml": f"<styleSheet {_MAIN}>{styles}</styleSheet>",
    }


MakeWorkbook = Callable[..., Path]


@pytest.fixture
def make_workbook(tmp_path: Path) -> MakeWorkbook:
    """`make_workbook(rows, strings=…, styles=…, workbook=…, parts={name: text or None})` writes an xlsx."""

    def make(
        rows: str,
        *,
        strings: str = "<si><t>代码</t></si><si><t>名称</t></si>",
        styles: str = "",
        workbook: str = "",
        parts: Parts | None = None,
    ) -> Path:
        path = tmp_path / "sheet.xlsx"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in (_default_parts(rows, strings, styles, workbook) | (parts or {})).items():
                if content is not None:
                    file.writestr(name, content)
        return path

    return make
