"""Pure decisions of listing, one module per aggregate."""
