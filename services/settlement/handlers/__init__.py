"""Use cases of settlement, one module per aggregate: load, decide, store, record."""
