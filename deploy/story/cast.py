"""Who plays in the story and what with: the invented sample as typed values, and everybody's token."""

import tomllib
from pathlib import Path

import msgspec

from deploy.visitor import Person, Visitor
from shared.values import frozen

SAMPLE = Path(__file__).parent / "sample.toml"


class Party(msgspec.Struct, frozen=True):
    """An authority or an agency."""

    code: str
    name: str
    region: str


class Enterprise(msgspec.Struct, frozen=True):
    """A company, by its USCC; a distributor with the account that it is paid to."""

    key: str
    uscc: str
    name: str
    kinds: list[str]
    region: str
    bank_name: str | None = None
    cnaps_code: str | None = None
    account_number: str | None = None


class Institution(msgspec.Struct, frozen=True):
    """A hospital, by its institution code."""

    key: str
    code: str
    name: str
    grade: str
    region: str
    delivery_points: list[str]


class Product(msgspec.Struct, frozen=True):
    """A product at its price; `ident` is what its trace codes begin with, `case_packs` how many lie in a case."""

    key: str
    code: str
    generic_name: str
    specification: str
    unit: str
    units_per_pack: int
    price_yuan: str
    category: str
    dosage_form: str | None = None
    approval_number: str | None = None
    ident: str | None = None
    case_ident: str | None = None
    case_packs: int | None = None


class Sample(msgspec.Struct, frozen=True):
    """The whole sample."""

    region: str
    parties: dict[str, Party]
    enterprises: list[Enterprise]
    institutions: list[Institution]
    products: list[Product]


@frozen
class Cast:
    """Everybody who acts, each with a token of their own."""

    sample: Sample
    visitor: Visitor
    authority: Person
    clerk: Person
    second_clerk: Person
    maker: Person
    dealer_a: Person
    dealer_b: Person
    hospital: Person

    def product(self, key: str) -> Product:
        """A product of the sample."""
        return next(product for product in self.sample.products if product.key == key)

    def enterprise(self, key: str) -> Enterprise:
        """A company of the sample."""
        return next(enterprise for enterprise in self.sample.enterprises if enterprise.key == key)

    @property
    def institution(self) -> Institution:
        """The hospital of the sample."""
        return self.sample.institutions[0]


def load() -> Sample:
    """The sample as it ships."""
    return msgspec.convert(tomllib.loads(SAMPLE.read_text(encoding="utf-8")), Sample)


def assemble(sample: Sample, visitor: Visitor) -> Cast:
    """Gives everybody a token."""
    authority, agency = sample.parties["authority"], sample.parties["agency"]
    company = {one.key: one for one in sample.enterprises}
    hospital = sample.institutions[0]
    return Cast(
        sample=sample,
        visitor=visitor,
        authority=visitor.person("authority", authority.code, authority.region, "周敏"),
        clerk=visitor.person("agency", agency.code, agency.region, "王岚"),
        second_clerk=visitor.person("agency", agency.code, agency.region, "李桐"),
        maker=visitor.person("manufacturer", company["maker"].uscc, company["maker"].region, "陈立"),
        dealer_a=visitor.person("distributor", company["dealer_a"].uscc, company["dealer_a"].region, "吴佳"),
        dealer_b=visitor.person("distributor", company["dealer_b"].uscc, company["dealer_b"].region, "郑洁"),
        hospital=visitor.person("hospital", hospital.code, hospital.region, "孙宁"),
    )
