"""Commands in and views out of traceability, one module per aggregate."""
