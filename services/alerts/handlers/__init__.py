"""Use cases of alerts, one module per aggregate: load, decide, store, record."""
