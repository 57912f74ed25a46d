"""HTTP into listing, one module per aggregate."""

from services.listing.router import (
    distributions,
    enterprises,
    imports,
    institutions,
    listings,
    prices,
    products,
    reviews,
)

routers = (
    enterprises.router,
    institutions.router,
    products.router,
    listings.router,
    reviews.router,
    prices.router,
    distributions.router,
    imports.router,
)
