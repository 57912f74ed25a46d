"""docs/limits.md says what the code says: every limit with its default, and a test that is really there."""

import re
from pathlib import Path

import pytest

from shared.settings import Limits, SheetLimits

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "limits.md").read_text(encoding="utf-8")
ROWS = {
    row[0].strip("`"): row[1:]
    for row in (line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| `"))
}


def test_the_page_names_every_limit_with_its_default_and_no_other() -> None:
    ours = {name: str(field.default) for name, field in Limits.model_fields.items() if name != "sheet"}
    sheets = {f"sheet_{name}": str(field.default) for name, field in SheetLimits.model_fields.items()}
    assert {name: row[1] for name, row in ROWS.items()} == ours | sheets


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row[2] != "—"])
def test_a_limit_with_an_answer_is_tried_by_a_test_that_is_there(name: str) -> None:
    file, _, test = ROWS[name][3].strip("`").partition("::")
    assert re.search(rf"def {test}\(", (TESTS / file).read_text(encoding="utf-8"))
