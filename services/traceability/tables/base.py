"""Where the tables of traceability are collected."""

from shared import db

metadata = db.metadata()
