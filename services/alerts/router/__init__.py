"""HTTP into alerts, one module per aggregate."""

from services.alerts.router import alerts, problems

routers = (alerts.router, problems.router)
