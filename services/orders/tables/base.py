"""The collection of orders' tables."""

from shared import db

metadata = db.metadata()
