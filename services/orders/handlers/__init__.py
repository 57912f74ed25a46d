"""Use cases of orders, one module per aggregate: load, decide, store, record."""
