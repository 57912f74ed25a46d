"""Commands in and views out of settlement, one module per aggregate."""
