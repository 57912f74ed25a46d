"""alerts (预警与直报): what is late, short or wrong, who reported what, who must act and by when.

Owns      alerts and their acknowledgements, problem reports and their replies, and projections of what it watches:
          organisations, order lines, receipts, sheets, receiving accounts, recalled lots, remedies
Serves    hospitals, manufacturers and distributors (their own), the agency and the authority (their region)
Emits     alert.raised/acknowledged/resolved  problem.reported/assigned/replied/resolved/escalated/confirmed/closed
Consumes  listing: enterprises, institutions · orders: order and line events, shipments, deliveries ·
          settlement: payables, sheets, payments, receiving accounts ·
          traceability: coverage, flagged and cleared codes, recalls
"""
