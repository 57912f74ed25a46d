"""settlement (结算): what is owed for accepted goods, what of it may be paid, and what was paid.

Owns      payables, sheets and their lines, receiving accounts, payment runs, payments, the ledger; projections of
          coverage, recalls and of enterprises: their names, and the USCC of those that trade under another code
Serves    hospitals (confirm or dispute sheets), suppliers (name their accounts, see when they are paid), the agency (confirm
          accounts, review, run, approve)
Emits     payable.opened/held/released  sheet.issued/confirmed/disputed/returned  payment.sent/paid/failed/doubted
          receiving_account.changed
Consumes  listing: enterprise.registered; orders: delivery.accepted; traceability: coverage.verified/short, recall.opened/closed
"""
