"""orders (采购订单): what was ordered at which price, who took it on, what was shipped, accepted, rejected or closed.

Owns      orders and their lines, shipments and their lines, acceptances; projections of who and what may be ordered, of
          recalled lots, and of payables and sheets
Serves    hospitals (order, accept, close), distributors (confirm, ship), manufacturers, agencies, authorities (see)
Emits     order.placed/cancelled  line.confirmed/refused/closed  shipment.dispatched/cancelled
          delivery.accepted/rejected
Consumes  listing: enterprise.registered, institution.registered, distribution.confirmed/ended,
          product.announced/retracted/listed/price_changed/suspended/resumed/delisted;
          traceability: coverage.verified/short, recall.opened/closed;
          settlement: payable.opened/released/held, sheet.issued/confirmed/returned, payment.sent/paid/failed/doubted,
          receiving_account.changed
"""
