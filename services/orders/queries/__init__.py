"""Every SELECT of orders, one module per aggregate; `scope` is the condition that keeps each caller to its own rows."""
