"""HTTP into listing, one module per aggregate."""

from services.listing.router import enterprises

routers = (enterprises.router,)
