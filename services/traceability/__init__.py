"""traceability (追溯): which codes are expected, which were seen where, and how far they cover what was accepted.

Owns      expected receipts and their coverage, identification codes, packing maps, units, documents, anomalies, recalls
Serves    hospitals (capture), distributors (what they shipped), manufacturers (identification codes, packings, recalls),
          the authority (anomalies, recalls), the fund (coverage)
Emits     receipt.expected  coverage.verified/short  code.flagged/cleared  recall.opened/closed
Consumes  listing: enterprise.registered, institution.registered,
          product.listed/price_changed/suspended/resumed/delisted;
          orders: shipment.dispatched/cancelled, delivery.accepted/rejected
Not here  herb batches (饮片批次), which are traced by batch and not by box: they have their own issue
"""
