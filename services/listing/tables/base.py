"""The collection of listing's tables."""

from shared import db

metadata = db.metadata()
