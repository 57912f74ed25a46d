"""The page on If-Match names exactly the operations that need or heed it, as the HTTP contract shows them."""

import re
from collections.abc import Iterator

from deploy import pages

PAGE = pages.DOCS / "conditional-requests.md"


def shown() -> Iterator[tuple[str, bool]]:
    """Each operation that reads the header, and whether it is refused without."""
    for document in pages.openapi().values():
        for methods in document["paths"].values():  # type: ignore[attr-defined]
            for operation in methods.values():
                for one in operation.get("parameters", ()):
                    if one["name"] == "if-match":
                        yield operation["operationId"], "428" in one["description"]


def test_the_page_names_each_operation_that_reads_the_header() -> None:
    needed, heeded = PAGE.read_text(encoding="utf-8").split("**Heeded**")
    contract = set(shown())
    assert {name for name, is_needed in contract if is_needed} == _operations(needed)
    assert {name for name, is_needed in contract if not is_needed} == _operations(heeded)


def _operations(text: str) -> set[str]:
    rows = [line for line in text.splitlines() if line.startswith("| ") and "`" in line]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[2])}
