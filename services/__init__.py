"""The five services: listing, orders, settlement, traceability, alerts. None imports another."""
