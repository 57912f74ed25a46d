"""Commands in and views out of listing, one module per aggregate."""
