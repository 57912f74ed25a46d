"""The field's codes: a parser gives the one normal form of a code, or CodeRefused with the broken rule."""

from shared.codes.approval import (
    Approval,
    ApprovalKind,
    Origin,
    parse_approval,
    parse_device_approval,
    parse_drug_approval,
)
from shared.codes.bank import parse_account_number, parse_cnaps
from shared.codes.consumable import ConsumableCode, parse_consumable
from shared.codes.drug import DrugCode, DrugKind, parse_drug
from shared.codes.gtin import Gtin, parse_gtin, to_gtin14
from shared.codes.institution import Institution, InstitutionKind, parse_institution
from shared.codes.names import emoji_in, is_clean_text, normal_name, unseen_in
from shared.codes.product import ProductCode, ProductKind, parse_product
from shared.codes.refused import LONGEST_CODE_CHARS, CodeRefused
from shared.codes.region import NATION, PROVINCES, covers, parse_region, province_name, region_prefix
from shared.codes.standard import StandardCode, parse_standard
from shared.codes.trace import SPLIT_PLACEHOLDER, Family, TraceCode, classify
from shared.codes.uscc import Uscc, UsccCategory, parse_uscc

__all__ = [
    "LONGEST_CODE_CHARS",
    "NATION",
    "PROVINCES",
    "SPLIT_PLACEHOLDER",
    "Approval",
    "ApprovalKind",
    "CodeRefused",
    "ConsumableCode",
    "DrugCode",
    "DrugKind",
    "Family",
    "Gtin",
    "Institution",
    "InstitutionKind",
    "Origin",
    "ProductCode",
    "ProductKind",
    "StandardCode",
    "TraceCode",
    "Uscc",
    "UsccCategory",
    "classify",
    "covers",
    "emoji_in",
    "is_clean_text",
    "normal_name",
    "parse_account_number",
    "parse_approval",
    "parse_cnaps",
    "parse_consumable",
    "parse_device_approval",
    "parse_drug",
    "parse_drug_approval",
    "parse_gtin",
    "parse_institution",
    "parse_product",
    "parse_region",
    "parse_standard",
    "parse_uscc",
    "province_name",
    "region_prefix",
    "to_gtin14",
    "unseen_in",
]
