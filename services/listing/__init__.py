"""listing (挂网): who takes part, what may be bought at which price, who may deliver it where.

Owns      enterprises, institutions, products, certificates, listings and their prices, distribution relations
Serves    manufacturers and agents (list, appoint), distributors (accept), the authority (review), everybody (search)
Emits     enterprise.registered  institution.registered  distribution.confirmed/ended
          product.announced/retracted/listed/price_changed/suspended/resumed/delisted
Consumes  nothing yet (credit.rated of alerts has its own issue)
"""
