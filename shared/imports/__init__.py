"""Sheets in and sheets out: nothing is guessed, and what is refused can be mended and sent again."""

from shared.imports.convert import (
    FieldRefused,
    Parser,
    RowReader,
    RowRefused,
    choice,
    choice_of,
    date,
    decimal,
    local_time,
    text,
    whole_number,
    yes_no,
)
from shared.imports.mapping import Binder, Mapping, load_mapping, mapping_of
from shared.imports.read import open_sheet
from shared.imports.refusals import REFUSAL_COLUMNS, Refusal, SheetRefused, told, write_refused
from shared.imports.sheet import Row, Sheet

__all__ = [
    "REFUSAL_COLUMNS",
    "Binder",
    "FieldRefused",
    "Mapping",
    "Parser",
    "Refusal",
    "Row",
    "RowReader",
    "RowRefused",
    "Sheet",
    "SheetRefused",
    "choice",
    "choice_of",
    "date",
    "decimal",
    "load_mapping",
    "local_time",
    "mapping_of",
    "open_sheet",
    "text",
    "told",
    "whole_number",
    "write_refused",
    "yes_no",
]
