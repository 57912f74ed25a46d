"""Any code a product can be listed under: a drug or a consumable code, told by its first letter alone."""

from enum import StrEnum

from shared.codes.consumable import parse_consumable
from shared.codes.drug import DrugKind, parse_drug
from shared.codes.refused import CodeRefused, code_text
from shared.values import frozen

_ALLOWED = "an NHSA drug code beginning with X, Z or T, or an NHSA consumable code beginning with C"


class ProductKind(StrEnum):
    WESTERN = "western"
    PATENT_CHINESE = "patent_chinese"
    GRANULE = "granule"
    SLICE = "slice"
    CONSUMABLE = "consumable"


_DRUG_KINDS = {
    DrugKind.WESTERN: ProductKind.WESTERN,
    DrugKind.PATENT_CHINESE: ProductKind.PATENT_CHINESE,
    DrugKind.GRANULE: ProductKind.GRANULE,
    DrugKind.SLICE: ProductKind.SLICE,
}


@frozen
class ProductCode:
    code: str
    kind: ProductKind


def parse_product(text: str) -> ProductCode:
    """The kind of a drug or consumable code. Source: domain rules 2.1 and 2.2. Raises CodeRefused."""
    letter = code_text(text, _ALLOWED)[0]
    if letter == "C":
        return ProductCode(parse_consumable(text).code, ProductKind.CONSUMABLE)
    if letter not in "XZT":
        raise CodeRefused(text, "neither a drug code nor a consumable code", _ALLOWED)
    drug = parse_drug(text)
    return ProductCode(drug.code, _DRUG_KINDS[drug.kind])
