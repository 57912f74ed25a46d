"""A province's mapping file: what the columns of its catalogue and of its trade mean, in one TOML file.

Invariant: a mapping that loads has every field the replay needs, for both sheets, and nothing that was not understood.
"""

import tomllib
from pathlib import Path

from shared.imports import Mapping, SheetRefused, mapping_of
from shared.values import frozen

SHIPPED = Path(__file__).parent / "mappings" / "zhejiang.toml"

CATALOGUE_FIELDS = (
    "product_code",
    "generic_name",
    "unit",
    "units_per_pack",
    "manufacturer_name",
    "price_yuan",
    "category",
    "region",
    "valid_from",
)
CATALOGUE_EXTRAS = (
    "trade_name",
    "dosage_form",
    "specification",
    "approval_number",
    "holder_name",
    "agent_name",
    "origin",
    "price_origin",
    "published_on",
)
TRADE_FIELDS = (
    "province",
    "region",
    "product_code",
    "institution_code",
    "institution_name",
    "order_number",
    "ordered_at",
    "amount_yuan",
    "quantity",
    "distributor_code",
    "distributor_name",
)
TRADE_EXTRAS = ("institution_grade", "agent_code", "agent_name", "manufacturer_code", "manufacturer_name")


@frozen
class SheetMapping:
    """Where a sheet is and what it means; `not_compared` are columns in which rows may differ and still be the same."""

    file: str
    mapping: Mapping
    not_compared: tuple[str, ...]

    def path(self, data: Path) -> Path:
        """The file of this sheet: `data` itself when it is a workbook of all sheets, else the one in the folder."""
        return data if data.is_file() else data / self.file


@frozen
class ReplayMapping:
    """The mappings of both sheets, and the policy file of the region they come from."""

    catalogue: SheetMapping
    trade: SheetMapping
    policy: Path


def load(path: Path = SHIPPED) -> ReplayMapping:
    """Raises SheetRefused for a file that is not understood, naming what is near."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SheetRefused("mapping_broken", f"{path} cannot be read: {error}") from error
    if set(document) != {"catalogue", "trade", "policy"} or not isinstance(document["policy"], str):
        given = ", ".join(document)
        raise SheetRefused("mapping_broken", f"{path.name} has {given}", allowed="policy, [catalogue], [trade]")
    policy = path.parent / document["policy"]
    read = ReplayMapping(_sheet(document["catalogue"]), _sheet(document["trade"]), policy)
    read.catalogue.mapping.expect(CATALOGUE_FIELDS, CATALOGUE_EXTRAS)
    read.trade.mapping.expect(TRADE_FIELDS, TRADE_EXTRAS)
    return read


def _sheet(table: object) -> SheetMapping:
    if not isinstance(table, dict):
        raise SheetRefused("mapping_broken", "catalogue and trade are tables", allowed="[catalogue], [trade]")
    rest = {name: value for name, value in table.items() if name not in {"file", "not_compared"}}
    file, not_compared = table.get("file"), table.get("not_compared", [])
    if not isinstance(file, str) or not isinstance(not_compared, list):
        raise SheetRefused("mapping_broken", "file is a name, not_compared a list of columns", allowed='file = "….csv"')
    return SheetMapping(file, mapping_of(rest), tuple(map(str, not_compared)))
