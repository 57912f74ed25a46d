"""Pure decisions of settlement, one module per aggregate."""
