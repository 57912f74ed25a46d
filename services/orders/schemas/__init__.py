"""Commands in and views out of orders, one module per aggregate."""
