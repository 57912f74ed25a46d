"""Plays months of real trade through a running platform over HTTP: what the sheets say is read, done again, reconciled."""
