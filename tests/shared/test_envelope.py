"""CloudEvents 1.0 on the way in: both modes, every required attribute, the form of the time, the names of extensions."""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from shared.envelope import ATTRIBUTE_CHARACTERS, CONTENT_TYPE, Unreadable, seal, unseal

ID = UUID("0197a0f0-0000-7000-8000-000000000001")
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": str(ID),
    "source": "/orders",
    "type": "cn.jicai.orders.order.placed.v1",
    "subject": "order-1",
    "time": "2026-03-02T08:00:00+08:00",
    "sequence": "0000000003",
    "datacontenttype": "application/json",
    "data": {"a": 1},
}
STRUCTURED = (("content-type", CONTENT_TYPE.encode()),)


def structured(**changes: Any) -> bytes:
    members = {name: value for name, value in (EVENT | changes).items() if value is not ...}
    return json.dumps(members).encode()


def binary(**changes: str) -> tuple[tuple[str, bytes], ...]:
    attributes = {name: value for name, value in (EVENT | changes).items() if name not in ("data", "datacontenttype")}
    headers = ((f"ce_{name}", value.encode()) for name, value in attributes.items() if value is not ...)
    return (("content-type", b"application/json"), *headers)


def test_what_is_sealed_is_structured_json_with_every_attribute() -> None:
    sealed = seal(
        event_id=ID,
        source="/orders",
        event_type=EVENT["type"],
        subject="order-1",
        time=datetime(2026, 3, 2, tzinfo=UTC),
        sequence=3,
        data={"a": 1},
        request_id="r-1",
        traceparent=TRACE,
    )
    assert json.loads(sealed) == EVENT | {
        "time": "2026-03-02T00:00:00Z",
        "requestid": "r-1",
        "traceparent": TRACE,
    }
    opened = unseal(sealed, STRUCTURED)
    assert (opened.id, opened.sequence, bytes(opened.data), opened.requestid) == (ID, "0000000003", b'{"a":1}', "r-1")


def test_a_traceparent_that_is_none_does_not_travel() -> None:
    sealed = seal(
        event_id=ID,
        source="/x",
        event_type="t",
        subject="s",
        time=datetime(2026, 3, 2, tzinfo=UTC),
        sequence=1,
        data={},
        traceparent="garbage",
    )
    assert "traceparent" not in json.loads(sealed)


@pytest.mark.parametrize("headers", [(), STRUCTURED, (("content-type", b"Application/CloudEvents+JSON"),)])
def test_structured_mode_is_read(headers: tuple[tuple[str, bytes], ...]) -> None:
    assert bytes(unseal(structured(), headers).data) == b'{"a": 1}'


def test_binary_mode_is_read() -> None:
    opened = unseal(b'{"a": 1}', binary(requestid="r-2", traceparent=TRACE, partitionkey="p"))
    assert (opened.id, opened.subject, opened.requestid, opened.traceparent) == (ID, "order-1", "r-2", TRACE)
    assert opened.time == datetime(2026, 3, 2, tzinfo=UTC)
    assert bytes(opened.data) == b'{"a": 1}'


def test_data_in_base64_is_read() -> None:
    payload = structured(data=..., data_base64=base64.b64encode(b'{"a": 1}').decode())
    assert bytes(unseal(payload).data) == b'{"a": 1}'


@pytest.mark.parametrize("extension", [{"partitionkey": "x"}, {"n1": 7}, {"flag": True}, {"dataschema": None}])
def test_other_extensions_are_let_through(extension: dict[str, Any]) -> None:
    assert unseal(structured(**extension)).id == ID


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "subject", "time", "sequence", "data"])
def test_what_is_required_is_required_in_both_modes(name: str) -> None:
    with pytest.raises(Unreadable, match=name):
        unseal(structured(**{name: ...}), STRUCTURED)
    if name not in ("data", "specversion"):
        with pytest.raises(Unreadable, match=name):
            unseal(b"{}", binary(**{name: ...}))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"specversion": "0.3"}, "specversion is '0.3'"),
        ({"id": "7"}, "Invalid UUID"),
        ({"time": "2026-03-02T08:00:00"}, "has no offset"),
        ({"time": "2026-03-02"}, "RFC3339"),
        ({"time": "2026-02-30T08:00:00Z"}, "RFC3339"),
        ({"time": 1_772_000_000}, "RFC3339"),
        ({"subject": ""}, "subject has 0 characters"),
        ({"subject": "s" * (ATTRIBUTE_CHARACTERS + 1)}, "subject has 256 characters"),
        ({"subject": "a\x00b"}, "subject holds a control character"),
        ({"source": "a\nb"}, "source holds a control character"),
        ({"sequence": "-1"}, "sequence is '-1'"),
        ({"sequence": "²"}, "sequence is"),
        ({"sequence": "9" * 19}, "sequence is"),
        ({"datacontenttype": "text/xml"}, "datacontenttype is 'text/xml'"),
        ({"partition_key": "x"}, "'partition_key' is not named in lower case letters and digits"),
        ({"partitionKey": "x"}, "'partitionKey' is not named"),
        ({"tags": ["x"]}, "tags is no string, whole number or boolean"),
        ({"ratio": 0.5}, "ratio is no string"),
        ({"data_base64": "e30="}, "one of data and data_base64"),
        ({"data": ..., "data_base64": "???"}, "data_base64 is not base64"),
    ],
)
def test_what_is_not_in_the_form_of_the_specification_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        unseal(structured(**changes), STRUCTURED)


@pytest.mark.parametrize(
    ("payload", "headers", "reason"),
    [
        (b"not json", STRUCTURED, "not a CloudEvent in structured JSON"),
        (b"[]", STRUCTURED, "not a CloudEvent in structured JSON"),
        (b"\xff", (), "not a CloudEvent in structured JSON"),
        (b"[]", (("content-type", b"application/cloudevents-batch+json"),), "cloudevents-batch.json is not read here"),
        (b"", binary(), "the message has no data"),
        (b"{}", (*binary(), ("ce_subject", b"\xff")), "header ce_subject is not UTF-8"),
        (b"{}", (*binary(), ("ce_Big", b"x")), "'Big' is not named"),
    ],
)
def test_what_is_no_event_is_refused(payload: bytes, headers: tuple[tuple[str, bytes], ...], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        unseal(payload, headers)
