"""Pure decisions of alerts, one module per aggregate."""
