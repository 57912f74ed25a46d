"""Every SELECT of alerts, one module per aggregate."""
