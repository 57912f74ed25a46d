"""What operations see: one JSON line per log record, metrics by Prometheus, and the id of the request on all of them."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import orjson
from prometheus_client import Counter, Gauge, Histogram

from shared import clock

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
operation: ContextVar[str | None] = ContextVar("operation", default=None)
traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)


@contextmanager
def belonging_to(request: str | None, trace: str | None) -> Iterator[None]:
    """What is logged and recorded inside belongs to this request, and to this trace (W3C traceparent)."""
    before = request_id.get(), traceparent.get()
    request_id.set(request)
    traceparent.set(trace)
    try:
        yield
    finally:
        request_id.set(before[0])
        traceparent.set(before[1])


@contextmanager
def doing(what: str) -> Iterator[None]:
    """What history records inside was done by this operation: a route, a type of event, a kind of deadline or of job."""
    before = operation.get()
    operation.set(what)
    try:
        yield
    finally:
        operation.set(before)


OUTBOX_WAITING = Gauge("jicai_outbox_waiting_rows", "Events recorded and not yet sent, 100000 at most", ["service"])
OUTBOX_AGE = Gauge("jicai_outbox_oldest_seconds", "Age of the oldest event not yet sent", ["service"])
RELAY_LEAD = Gauge("jicai_relay_lead", "1 where this process leads the relay", ["service"])
RELAY_ROUNDS = Counter("jicai_relay_rounds_total", "Rounds of the relay that sent something", ["service"])
EVENTS_SENT = Counter("jicai_events_sent_total", "Events sent", ["service"])
EVENTS = Counter("jicai_events_total", "Events received, by what became of them", ["service", "type", "outcome"])
EFFECT_SECONDS = Histogram(
    "jicai_event_effect_seconds",
    "From the fact to its committed effect",
    ["service"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
LAG = Gauge(
    "jicai_consumer_lag_messages",
    "Messages in Kafka not yet applied; not shown while not known",
    ["service", "topic", "partition"],
)
BROKER_AWAY = Gauge("jicai_broker_away", "1 while the broker cannot be used by this process", ["service"])
PARTITIONS_HELD = Gauge(
    "jicai_partitions_held", "1 while a fault of the road holds a partition", ["service", "partition"]
)
DEADLINES_UNMET = Counter(
    "jicai_deadlines_unmet_total", "Tries of deadlines that could not be met", ["service", "kind"]
)
DEAD_LETTERS = Gauge("jicai_dead_letters", "Open dead letters, and those that wait behind one", ["service", "state"])
REQUESTS = Histogram(
    "jicai_request_seconds",
    "Requests by operation and status",
    ["service", "operation", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

_PLAIN = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One log record as one line of JSON, with whatever was given in `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": clock.now().isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (known := request_id.get()) is not None:
            line["request_id"] = known
        line.update({key: value for key, value in record.__dict__.items() if key not in _PLAIN})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def set_up_logging(level: str = "INFO") -> None:
    """Sends every log record to standard error as one JSON line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("uvicorn.access", "alembic"):
        logging.getLogger(noisy).setLevel("WARNING")
    # It complains ten times a second while a broker is away; relay, lanes and health say the same in a line.
    logging.getLogger("aiokafka").setLevel("CRITICAL")
