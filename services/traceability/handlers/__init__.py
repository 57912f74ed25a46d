"""Use cases of traceability, one module per aggregate: load, decide, store, record."""
