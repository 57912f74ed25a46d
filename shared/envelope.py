"""CloudEvents 1.0: structured JSON is what travels, Kafka's binary mode is read as well.

Required attributes, the form of the time and the names of extensions are enforced on the way in; the bytes that were
recorded are the bytes that are sent. Source: CloudEvents 1.0.2 §3, JSON event format §2–3, Kafka protocol binding §3.
Extensions read here: `sequence` (the documented one), required; `traceparent` (W3C); `requestid`; where a fact is said in several
major versions, `versions`, which names them (`1 2`), and `factid`, by which they are known to be one fact.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from shared.ids import TRACE

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
JSON = "application/json"
ATTRIBUTE_CHARACTERS = 255
"""The longest subject, source or type; more would not fit into an index."""

_NAME = re.compile(r"[a-z0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SEQUENCE = re.compile(r"[0-9]{1,18}")


class Unreadable(ValueError):
    """A message that is not a CloudEvent of ours; says which attribute and why."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it travels; `sequence` is the aggregate's version, ten digits so that text order is number order."""

    id: UUID
    source: str
    type: str
    subject: str
    time: Annotated[datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]
    sequence: str
    data: msgspec.Raw
    specversion: str
    datacontenttype: str = JSON
    requestid: str | msgspec.UnsetType = msgspec.UNSET
    traceparent: str | msgspec.UnsetType = msgspec.UNSET
    versions: str | msgspec.UnsetType = msgspec.UNSET
    factid: UUID | msgspec.UnsetType = msgspec.UNSET


class _Plain(Envelope, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event with nothing but what ours have: the common case, decoded in one go."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Plain)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_REQUIRED = ("specversion", "id", "source", "type", "subject", "time", "sequence")
_OPTIONAL = ("datacontenttype", "requestid", "traceparent", "versions", "factid")


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
    versions: str | None = None,
    fact_id: UUID | None = None,
) -> bytes:
    """The bytes of one event, ready to be recorded and sent as they are."""
    return _encoder.encode(
        Envelope(
            specversion="1.0",
            id=event_id,
            source=source,
            type=event_type,
            subject=subject,
            time=time.astimezone(UTC),
            sequence=f"{sequence:010d}",
            data=msgspec.Raw(_encoder.encode(data)),
            requestid=request_id or msgspec.UNSET,
            traceparent=traceparent if traceparent and TRACE.fullmatch(traceparent) else msgspec.UNSET,
            versions=versions or msgspec.UNSET,
            factid=fact_id or msgspec.UNSET,
        )
    )


def unseal(payload: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> Envelope:
    """The envelope in a message; raises Unreadable with the attribute that is wrong. Without headers: structured."""
    by_name = dict(headers)
    content_type = by_name.get("content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if "ce_specversion" in by_name and not content_type.startswith("application/cloudevents"):
        return _checked(_binary(payload, by_name, content_type))
    if content_type not in ("", "application/cloudevents+json", JSON):
        raise Unreadable(f"content-type {content_type} is not read here, application/cloudevents+json is")
    try:
        return _checked(_decoder.decode(payload))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _checked(_structured(payload))  # it has more than ours have, or something is wrong: member by member


def _checked(envelope: Envelope) -> Envelope:
    if envelope.specversion != "1.0":
        raise Unreadable(f"specversion is {envelope.specversion!r}, read here is '1.0'")
    if envelope.time.tzinfo is None:
        raise Unreadable(f"time {envelope.time.isoformat()} has no offset (RFC 3339)")
    for name in ("source", "type", "subject"):
        value = getattr(envelope, name)
        if not 0 < len(value) <= ATTRIBUTE_CHARACTERS:
            raise Unreadable(f"{name} has {len(value)} characters, allowed are 1 to {ATTRIBUTE_CHARACTERS}")
        if _CONTROL.search(value):
            raise Unreadable(f"{name} holds a control character")
    if not _SEQUENCE.fullmatch(envelope.sequence):
        raise Unreadable(f"sequence is {envelope.sequence[:40]!r}, expected 1 to 18 digits")
    media = envelope.datacontenttype.partition(";")[0].strip().lower()
    if media != JSON and not media.endswith("+json"):
        raise Unreadable(f"datacontenttype is {envelope.datacontenttype[:80]!r}, read here is {JSON}")
    return envelope


def _structured(payload: bytes) -> Envelope:
    try:
        members = _members.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(f"not a CloudEvent in structured JSON: {error}") from error
    data = _data(members)
    attributes: dict[str, str] = {}
    for name, raw in members.items():
        value = msgspec.json.decode(raw)
        if value is None:
            continue  # the same as absent (JSON event format §2.2)
        if isinstance(value, dict | list | float):
            raise Unreadable(f"{name[:40]} is no string, whole number or boolean, which an attribute must be")
        attributes[name] = value if isinstance(value, str) else str(value).lower()
    return _envelope(attributes, data)


def _data(members: dict[str, msgspec.Raw]) -> msgspec.Raw:
    plain, encoded = members.pop("data", None), members.pop("data_base64", None)
    if plain is not None and encoded is None:
        return plain
    if encoded is None or plain is not None:
        raise Unreadable("data is needed, as one of data and data_base64")
    try:
        return msgspec.Raw(base64.b64decode(msgspec.json.decode(encoded, type=str), validate=True))
    except ValueError as error:
        raise Unreadable(f"data_base64 is not base64: {error}") from error


def _binary(payload: bytes, headers: Mapping[str, bytes], content_type: str) -> Envelope:
    attributes = {"datacontenttype": content_type or JSON}
    for header, raw in headers.items():
        if not header.startswith("ce_"):
            continue
        try:
            attributes[header.removeprefix("ce_")] = raw.decode()
        except UnicodeDecodeError as error:
            raise Unreadable(f"header {header[:40]} is not UTF-8") from error
    if not payload:
        raise Unreadable("the message has no data")
    return _envelope(attributes, msgspec.Raw(payload))


def _envelope(attributes: Mapping[str, str], data: msgspec.Raw) -> Envelope:
    for name in attributes:
        if not _NAME.fullmatch(name):
            raise Unreadable(f"attribute {name[:40]!r} is not named in lower case letters and digits")
    for name in _REQUIRED:
        if name not in attributes:
            raise Unreadable(f"{name} is missing")
    known = {name: attributes[name] for name in (*_REQUIRED, *_OPTIONAL) if name in attributes}
    try:
        return msgspec.convert({**known, "data": data}, Envelope)
    except msgspec.ValidationError as error:
        raise Unreadable(f"not a CloudEvent of ours: {error}") from error
