"""Commands in and views out of alerts, one module per aggregate."""
