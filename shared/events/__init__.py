"""The contract between the services: one file per producer, one frozen class per event, JSON Schemas made from them."""

from shared.events.base import EVENTS, Event, Value, event, read, source_of, subject_of, topic_of, version_of

from shared.events import alerts, listing, orders, settlement, traceability  # isort: skip

__all__ = [
    "EVENTS",
    "Event",
    "Value",
    "alerts",
    "event",
    "listing",
    "orders",
    "read",
    "settlement",
    "source_of",
    "subject_of",
    "topic_of",
    "traceability",
    "version_of",
]
