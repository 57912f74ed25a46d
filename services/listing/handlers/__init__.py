"""Use cases of listing, one module per aggregate: load, decide, store, record."""
