"""Pure decisions of orders, one module per aggregate: market, orders, lines, shipments."""
