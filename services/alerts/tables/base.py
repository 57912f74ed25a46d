"""The collection of alerts' tables."""

from shared import db

metadata = db.metadata()
