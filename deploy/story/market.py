"""First part of the story: who takes part, what is listed at which price, who may deliver it, what its codes mean."""

from datetime import date, timedelta

from deploy.story.cast import Cast, Product
from deploy.story.teller import Teller
from shared import clock


async def open_market(cast: Cast, teller: Teller) -> None:
    """Registers everybody, lists the products after their public notice, appoints the distributors."""
    teller.heading("1 · The market opens")
    sample = cast.sample
    companies = [
        {"uscc": one.uscc, "name": one.name, "kinds": one.kinds, "region": one.region} for one in sample.enterprises
    ]
    await cast.maker.post("listing/enterprises", companies[0])
    await cast.dealer_a.post("listing/enterprises", companies[1])
    await cast.dealer_b.post("listing/enterprises", companies[2])
    teller.says("The companies", "register: " + ", ".join(one.name for one in sample.enterprises))
    for hospital in sample.institutions:
        await cast.authority.post(
            "listing/institutions",
            {
                "code": hospital.code,
                "name": hospital.name,
                "grade": hospital.grade,
                "region": hospital.region,
                "delivery_points": hospital.delivery_points,
            },
        )
        teller.says(sample.parties["authority"].name, f"registers {hospital.name} ({hospital.code})")
    await cast.visitor.until_quiet()
    for product in sample.products:
        await _list(cast, teller, product)
    await _notice_passes(cast, teller)
    for product in sample.products:
        await _appoint(cast, teller, product)
    await _codes(cast, teller)
    await cast.visitor.until_quiet()


async def _list(cast: Cast, teller: Teller, product: Product) -> None:
    maker = cast.enterprise("maker")
    await cast.maker.post(
        "listing/products",
        {
            "code": product.code,
            "generic_name": product.generic_name,
            "dosage_form": product.dosage_form,
            "specification": product.specification,
            "unit": product.unit,
            "units_per_pack": product.units_per_pack,
            "approval_number": product.approval_number,
            "manufacturer_code": maker.uscc,
        },
    )
    listing = await cast.maker.post(
        "listing/listings",
        {
            "product_code": product.code,
            "region": cast.sample.region,
            "price_yuan": product.price_yuan,
            "category": product.category,
        },
    )
    await cast.maker.post(f"listing/listings/{listing['id']}/submit")
    accepted = await cast.authority.post(f"listing/listings/{listing['id']}/accept")
    teller.says(
        maker.name,
        f"lists {product.generic_name} {product.specification} at {product.price_yuan} yuan a {product.unit};"
        f" on public notice until {accepted['notice_until']}",
    )


async def _notice_passes(cast: Cast, teller: Teller) -> None:
    """Lets the public notice run out and sees that every product is listed."""
    maker = cast.enterprise("maker").uscc
    found = await cast.maker.get("listing/listings", manufacturer=maker)
    until = max(listing["notice_until"] for listing in found["items"])
    await teller.on(clock.start_of_day(date.fromisoformat(until)) + timedelta(days=1, hours=8))
    await cast.visitor.until_quiet()
    found = await cast.maker.get("listing/listings", manufacturer=maker, state="listed")
    teller.by_itself(f"the notice is over, {len(found['items'])} products are listed")


async def _appoint(cast: Cast, teller: Teller, product: Product) -> None:
    """Pills go through one distributor, everything else through the other."""
    key = "dealer_b" if product.key == "pills" else "dealer_a"
    dealer = cast.enterprise(key)
    relation = await cast.maker.post(
        "listing/distributions",
        {"product_code": product.code, "region": cast.sample.region, "distributor_code": dealer.uscc},
    )
    accept = cast.dealer_b if key == "dealer_b" else cast.dealer_a
    await accept.post(f"listing/distributions/{relation['id']}/accept")
    teller.says(dealer.name, f"accepts to deliver {product.generic_name}")


async def _codes(cast: Cast, teller: Teller) -> None:
    uploads = [
        {"ident": product.ident, "product_code": product.code, "level": 1}
        for product in cast.sample.products
        if product.ident
    ] + [
        {"ident": product.case_ident, "product_code": product.code, "level": 3, "packs_per_unit": product.case_packs}
        for product in cast.sample.products
        if product.case_ident
    ]
    await cast.maker.post("traceability/identification-codes/bulk", uploads)
    teller.says(cast.enterprise("maker").name, f"says what its {len(uploads)} identification codes mean")
