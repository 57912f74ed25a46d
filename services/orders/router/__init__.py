"""HTTP into orders, one module per aggregate."""

from services.orders.router import acceptances, confirmations, lines, orders, shipments

routers = (orders.router, confirmations.router, lines.router, shipments.router, acceptances.router)
