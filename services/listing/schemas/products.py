"""What is said about products over HTTP."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from services.listing.schemas.fields import Coded, Day, Form, Forms, Number, ShortText, Unit
from shared.codes import parse_approval, parse_gtin, parse_product, parse_standard
from shared.errors import Said
from shared.http import Code, Command, Name, Quantity, Reason, View

PRODUCT_EXAMPLE: JsonDict = {
    "code": "XA10BAE037A001010100001",
    "generic_name": "盐酸二甲双胍片",
    "trade_name": "青禾平",
    "dosage_form": "片剂",
    "specification": "0.5g",
    "unit": "盒",
    "units_per_pack": 20,
    "approval_number": "国药准字H20060001",
    "manufacturer_code": "91350200MA31E12PXF",
}


class RegisterProduct(Coded):
    """Registers a product, or changes what is known of one. Name the maker by its code, or by its exact name."""

    model_config = ConfigDict(json_schema_extra={"examples": [PRODUCT_EXAMPLE]})

    FORMS: ClassVar[Forms] = {
        "code": parse_product,
        "approval_number": parse_approval,
        "standard_code": parse_standard,
        "gtin": parse_gtin,
    }
    PARTY = "manufacturer", Said("the manufacturer is not named")

    code: Code = Field(description="NHSA drug code (X, Z, T) or consumable code (C)")
    generic_name: ShortText
    trade_name: ShortText | None = None
    dosage_form: Form | None = None
    specification: ShortText | None = None
    unit: Unit = Field(description="the smallest sale unit: 盒, 支, kg")
    units_per_pack: Quantity = Field(1, description="smallest preparation units in one sale unit")
    approval_number: Code | None = None
    standard_code: Code | None = Field(None, description="药品本位码, 14 digits")
    override_reason: Reason | None = Field(None, description="why a 本位码 with a failing check digit is right")
    gtin: Code | None = Field(None, description="the 69 code of the sale unit, or a UDI-DI")
    manufacturer_code: Code | None = None
    manufacturer_name: Name | None = Field(
        None, description="instead of the code, where exactly one enterprise has this name; beside it, one of its names"
    )
    holder_name: Name | None = None
    agent_code: Code | None = None


class AddCertificate(Command):
    """Adds a certificate to a product."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"number": "国药准字H20060001", "valid_to": "2030-06-30"}]}
    )

    number: Number
    valid_to: Day | None = Field(None, description="last day, inclusive; leave out when it has none")


class CertificateView(View):
    """A certificate of a product."""

    id: UUID
    product_code: str
    number: str
    valid_to: date | None


class ProductView(View):
    """A product; `manufacturer_provisional`: the maker is known by its exact name alone."""

    id: UUID
    code: str
    kind: str
    generic_name: str
    trade_name: str | None
    dosage_form: str | None
    specification: str | None
    unit: str
    units_per_pack: int
    approval_number: str | None
    standard_code: str | None
    override_reason: str | None
    gtin: str | None
    manufacturer_code: str
    manufacturer_name: str
    manufacturer_provisional: bool
    holder_name: str | None
    agent_code: str | None
    region: str
    version: int
