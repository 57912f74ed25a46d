"""Pure decisions of traceability, one module per aggregate."""
