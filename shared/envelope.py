"""CloudEvents 1.0 in structured JSON: what travels on the bus, and what an unreadable message is called.

Required attributes, the form of the time and the names of extensions are enforced on the way in; the bytes that were
recorded are the bytes that are sent. Source: CloudEvents 1.0.2, §3 (attributes), JSON format §3, Kafka binding §3.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


class Unreadable(ValueError):
    """A message that is not a CloudEvent of ours; says which attribute and why."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One event as it travels; `sequence` is the aggregate's version, ten digits so that text order is number order."""

    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    sequence: str
    data: msgspec.Raw
    specversion: str = "1.0"
    datacontenttype: str = "application/json"
    requestid: str | msgspec.UnsetType = msgspec.UNSET
    traceparent: str | msgspec.UnsetType = msgspec.UNSET


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)


def seal(
    *,
    event_id: UUID,
    source: str,
    event_type: str,
    subject: str,
    time: datetime,
    sequence: int,
    data: Any,
    request_id: str | None = None,
    traceparent: str | None = None,
) -> bytes:
    """The bytes of one event, ready to be recorded and sent as they are."""
    return _encoder.encode(
        Envelope(
            id=event_id,
            source=source,
            type=event_type,
            subject=subject,
            time=time.astimezone(UTC),
            sequence=f"{sequence:010d}",
            data=msgspec.Raw(_encoder.encode(data)),
            requestid=request_id or msgspec.UNSET,
            traceparent=traceparent or msgspec.UNSET,
        )
    )


def unseal(payload: bytes) -> Envelope:
    """The envelope in these bytes; raises Unreadable with the attribute that is wrong."""
    try:
        envelope = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(f"not a CloudEvent in structured JSON: {error}") from error
    if envelope.specversion != "1.0":
        raise Unreadable(f"specversion is {envelope.specversion!r}, read here is '1.0'")
    if envelope.time.tzinfo is None:
        raise Unreadable(f"time {envelope.time.isoformat()} has no offset (RFC 3339)")
    for attribute in ("source", "type", "subject"):
        if not getattr(envelope, attribute):
            raise Unreadable(f"{attribute} is empty")
    if not envelope.sequence.isdigit():
        raise Unreadable(f"sequence is {envelope.sequence!r}, expected digits")
    return envelope
