"""Says again what listing has said, as it stands now, for a service that has lost it or never heard it."""

from services.listing.handlers import desk, distributions, enterprises, institutions
from services.listing.queries.again import in_state_since, keys_after
from services.listing.queries.distributions import distributions_by_id
from services.listing.queries.enterprises import enterprises_by_code
from services.listing.queries.institutions import institutions_by_code
from services.listing.queries.listings import listings_by_id
from services.listing.queries.products import products_by_code
from shared.db import Tx
from shared.republish import Again, Page


async def enterprises_again(tx: Tx, after: str, rows: int) -> Page:
    """Every enterprise, whole."""
    codes, last = await keys_after(tx, "enterprises", after, rows)
    found = await enterprises_by_code(tx, codes)
    return Page([Again(enterprises.fact_of(found[code]), found[code].version) for code in codes], last)


async def institutions_again(tx: Tx, after: str, rows: int) -> Page:
    """Every institution, with where it receives goods."""
    codes, last = await keys_after(tx, "institutions", after, rows)
    found = await institutions_by_code(tx, codes)
    return Page([Again(institutions.fact_of(found[code]), found[code].version) for code in codes], last)


async def listings_again(tx: Tx, after: str, rows: int) -> Page:
    """Every listing that something was said of, with its product: announced, retracted, listed, suspended or delisted."""
    ids, last = await keys_after(tx, "listings", after, rows)
    found = await listings_by_id(tx, ids)
    products = await products_by_code(tx, [one.product_code for one in found.values()], locked=False)
    since = await in_state_since(tx, ids)
    said = [
        (found[key], desk.fact_of(None, found[key], products[found[key].product_code], found[key].reason or ""))
        for key in ids
    ]
    return Page([Again(fact, one.version, since.get(one.id)) for one, fact in said if fact is not None], last)


async def distributions_again(tx: Tx, after: str, rows: int) -> Page:
    """Every relation that was confirmed once: confirmed, or ended."""
    ids, last = await keys_after(tx, "distributions", after, rows)
    found = await distributions_by_id(tx, ids)
    return Page([Again(distributions.fact_of(found[key]), found[key].version) for key in ids], last)
