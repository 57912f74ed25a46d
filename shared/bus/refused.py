"""Why a broker cannot be used, in words for operations: the client's own error tells only that it could not connect."""

import ssl
from collections.abc import Mapping
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError

ASK_MS = 2_000


async def reason(connection: Mapping[str, Any]) -> str | None:
    """Asks each address once, as the client would; the last reason that is known by name, None where there is none."""
    found: str | None = None
    asked = {name: value for name, value in connection.items() if name != "bootstrap_servers"}
    for host, port, _ in collect_hosts(connection["bootstrap_servers"]):
        try:
            there = await create_conn(host, port, request_timeout_ms=ASK_MS, **asked)
        except ssl.SSLCertVerificationError as error:
            found = f"the certificate of the broker is not trusted: {error.verify_message} ({host}:{port})"
        except KafkaError as error:
            user = connection.get("sasl_plain_username")
            if user is None:
                found = f"the broker refuses the connection: {error!r} ({host}:{port})"
            else:
                found = f"the broker does not take the user {user} or the password: {error!r} ({host}:{port})"
        except OSError as error:  # a TimeoutError is one too
            found = f"nobody answers at {host}:{port}: {error!r}"
        else:
            there.close()
            return None
    return found
