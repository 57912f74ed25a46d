"""Registers products and their certificates; the same registration twice changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from uuid_utils.compat import uuid7

from services.listing.errors import GtinTaken, NotYourProduct, ProductHeld, ProductRefused
from services.listing.handlers.desk import Desk
from services.listing.handlers.parties import normal_code, party_named
from services.listing.queries.enterprises import Directory, Party, directory
from services.listing.queries.listings import live_listings_of
from services.listing.queries.products import certificates_of, get_product, holders_of_gtins, products_by_code
from services.listing.queries.visible import as_row
from services.listing.rules.faults import Faults
from services.listing.rules.listings import HOLDING
from services.listing.rules.products import LISTED_AS, Certificate, Product, checked_codes, difference, gtin_of
from services.listing.schemas.products import AddCertificate, RegisterProduct
from services.listing.tables import certificates
from shared import history
from shared.db import Tx
from shared.errors import Fault, Said, ServiceError
from shared.history import Parties
from shared.identity import Caller


async def register_products(
    tx: Tx, caller: Caller, commands: Sequence[RegisterProduct]
) -> list[Product | ServiceError]:
    """Registers many at once; the answer to each stands at its place."""
    desk, known = await open_desk(tx, caller, commands)
    outcomes: list[Product | ServiceError] = []
    for command in commands:
        try:
            outcomes.append(put_product(desk, product_of(desk, known, command)))
        except ServiceError as refusal:
            outcomes.append(refusal)
    await desk.store()
    return outcomes


async def open_desk(tx: Tx, caller: Caller, commands: Sequence[RegisterProduct]) -> tuple[Desk, Directory]:
    """The products that these commands are about with their live listings, locked, and the enterprises they name."""
    codes = [normal_code(command.code) or "" for command in commands]
    named = [normal_code(code) for command in commands for code in (command.manufacturer_code, command.agent_code)]
    known = await directory(tx, named, [command.manufacturer_name for command in commands])
    products = await products_by_code(tx, codes, locked=True)
    held = await live_listings_of(tx, codes)
    desk = Desk(tx, caller, products.values(), held)
    desk.gtins |= await holders_of_gtins(tx, [gtin for one in commands if (gtin := gtin_of(one.gtin)) is not None])
    return desk, known


def product_of(desk: Desk, known: Directory, command: RegisterProduct) -> Product:
    """The product as the command describes it; the known value itself when it says nothing new.

    Raises NotYourProduct, which comes before all else that may be wrong, ProductRefused with every fault, ProductHeld, and
    GtinTaken.
    """
    faults = Faults()
    codes = checked_codes(
        faults, command.code, command.approval_number, command.standard_code, command.gtin, command.override_reason
    )
    maker = party_named(
        faults, known, "manufacturer", command.manufacturer_code, command.manufacturer_name, "manufacturer"
    )
    agent = party_named(faults, known, "agent", command.agent_code, None) if command.agent_code else None
    before = desk.products.get(codes.code)
    _check_own(desk, codes.code, before, maker, command)
    taken = _taken(desk, codes.code, codes.gtin, before)
    if faults.found and taken:
        faults.found.append(taken)
    faults.refuse(ProductRefused)
    assert maker is not None  # noqa: S101  a fault otherwise
    after = Product(
        id=before.id if before else uuid7(),
        code=codes.code,
        kind=codes.kind,
        generic_name=command.generic_name,
        trade_name=command.trade_name,
        dosage_form=command.dosage_form,
        specification=command.specification,
        unit=command.unit,
        units_per_pack=command.units_per_pack,
        approval_number=codes.approval_number,
        standard_code=codes.standard_code,
        override_reason=command.override_reason,
        gtin=codes.gtin,
        manufacturer_code=maker.code,
        manufacturer_name=maker.name,
        manufacturer_provisional=maker.provisional,
        holder_name=command.holder_name,
        agent_code=agent.code if agent else None,
        region=before.region if before else desk.caller.region,
        version=before.version if before else 1,
    )
    if before is not None:
        _check_changes(desk, before, after)
    if taken is not None:
        raise GtinTaken("{pointer}: {rule}.", faults=[taken], pointer=taken.pointer, rule=taken.rule)
    if before is None:
        return after
    return replace(after, version=before.version + 1) if difference(before, after) else before


def _check_own(desk: Desk, code: str, before: Product | None, named: Party | None, command: RegisterProduct) -> None:
    """A supplier speaks for what it makes or is the agent of; of a known product, as it is known."""
    maker, agent = (named.code if named else None), normal_code(command.agent_code)
    if before is not None:
        maker, agent = before.manufacturer_code, before.agent_code
    scope = desk.tx.scope
    if scope.reach == "own" and maker is not None and not scope.covers(maker, agent):
        field = "code" if before else "manufacturer_code" if command.manufacturer_code else "manufacturer_name"
        rule = Said("{code} is made by {manufacturer_code}, not by you", code=code, manufacturer_code=maker)
        raise NotYourProduct(
            "{code} is made by {manufacturer_code}, not by {organisation}.",
            faults=[Fault(f"/{field}", getattr(command, field), rule, "a product that you make or are the agent of")],
            code=code,
            manufacturer_code=maker,
            organisation=scope.organisation,
        )


def _taken(desk: Desk, code: str, gtin: str | None, before: Product | None) -> Fault | None:
    """A GTIN names one package of one product (GS1); what a product has had beside another's from before, it keeps."""
    holder = desk.gtins.get(gtin or "")
    if holder in {None, code} or (before is not None and before.gtin == gtin):
        return None
    return Fault(
        "/gtin", gtin, Said("product {code} has this GTIN", code=holder), Said("the GTIN of its own package, or none")
    )


def _check_changes(desk: Desk, before: Product, after: Product) -> None:
    scope = desk.tx.scope
    differs = difference(before, after)
    keeper = before.region if scope.reach == "region" else None
    mine = scope.covers(before.manufacturer_code, before.agent_code, region=keeper)
    if scope.reach == "own" and {"manufacturer_code", "agent_code"} & set(differs):
        mine = mine and scope.organisation == before.manufacturer_code and "manufacturer_code" not in differs
    if differs and not mine:
        faults = [
            Fault(f"/{name}", new, Said("it is known as {old!j}", old=old), Said("{old!j}", old=old))
            for name, (old, new) in differs.items()
        ]
        raise NotYourProduct(
            "{code} is kept by region {region} and its maker {manufacturer_code}; you gave another {fields}.",
            faults=faults,
            code=before.code,
            region=before.region,
            manufacturer_code=before.manufacturer_code,
            fields=", ".join(differs),
        )
    if scope.reach == "own":
        _check_held(desk, before, differs)


def _check_held(desk: Desk, before: Product, differs: Mapping[str, tuple[object, object]]) -> None:
    """What was reviewed stays as long as a listing holds it; only the authority changes it then."""
    holding = [one for one in desk.listings.values() if one.product_code == before.code and one.state in HOLDING]
    held = {name: pair for name, pair in differs.items() if name in LISTED_AS}
    if not holding or not held:
        return
    first = holding[0]
    allowed = "{old!j}, until the authority of region {region} changes it"
    faults = [
        Fault(
            f"/{name}",
            new,
            Said("listing {id} is {state} with {old!j}", id=first.id, state=first.state, old=old),
            Said(allowed, old=old, region=before.region),
        )
        for name, (old, new) in held.items()
    ]
    raise ProductHeld(
        "{code} stands in {count:#listing} as it was reviewed, the first {id} in region {region} ({state}); "
        "another {fields} is up to the authority of region {keeper}, which keeps the product.",
        faults=faults,
        code=before.code,
        count=len(holding),
        id=first.id,
        region=first.region,
        state=first.state,
        fields=", ".join(held),
        keeper=before.region,
    )


def put_product(desk: Desk, after: Product) -> Product:
    """Puts a product on the desk, if it says anything new."""
    if after is not desk.products.get(after.code):
        desk.put_product(after)
    return after


async def add_certificate(tx: Tx, caller: Caller, product_id: UUID, command: AddCertificate) -> Certificate:
    """Adds a certificate, or renews the one of this number; raises ProductNotFound, NotYourProduct."""
    product = await get_product(tx, product_id, locked=True)
    if not tx.scope.covers(product.manufacturer_code, product.agent_code, region=product.region):
        raise NotYourProduct(
            "{code} is kept by region {region} and {manufacturer_code}.",
            code=product.code,
            region=product.region,
            manufacturer_code=product.manufacturer_code,
        )
    held = {one.number: one for one in await certificates_of(tx, product.code)}
    before = held.get(command.number)
    after = Certificate(before.id if before else uuid7(), product.code, command.number, command.valid_to)
    if after == before:
        return after
    if before is None:
        tx.add(certificates, as_row(after))
    else:
        await tx.change(certificates, [as_row(after)])
    parties = Parties(supplier_code=product.manufacturer_code, third_code=product.agent_code, region=product.region)
    detail = {"number": after.number, "changes": history.changes(before, after, "valid_to")}
    history.note(tx, caller, product.id, "certificate_renewed" if before else "certificate_added", parties, detail)
    return after
