"""orders (采购订单): what was ordered at which price, who took it on, what was shipped, accepted, rejected or closed.

Owns      orders and their lines, shipments and their lines, acceptances; projections of who and what may be ordered
Serves    hospitals (order, accept, close), distributors (confirm, ship), manufacturers, agencies, authorities (see)
Emits     order.placed/cancelled  line.confirmed/refused/closed  shipment.dispatched/cancelled
          delivery.accepted/rejected
Consumes  listing: enterprise.registered, institution.registered, distribution.confirmed/ended,
          product.announced/retracted/listed/price_changed/suspended/resumed/delisted;
          traceability: coverage.verified/short; settlement: payable.opened, payment.paid/failed
"""
