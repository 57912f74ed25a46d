"""TLS and SASL against a real broker: the settings pass through, an event goes round, and what is refused is said in words."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from uuid_utils.compat import uuid7

from deploy.embedded import LOOPBACK, free_port
from deploy.kafka import EmbeddedKafka
from deploy.services import load
from deploy.wiring import TopicSettings, connection_of, kafka_bus, make_topics, told
from shared import clock
from shared.bus import BusAway, KafkaBus, Message, ensure_topics
from shared.settings import ServiceSettings

USER, PASSWORD = "jicai", "five-kept-words"
SECURE = """
listeners=PLAINTEXT://{host}:{plain},CONTROLLER://{host}:{controller},SECURE://{host}:{secure}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={keystore}
"""


class SecureKafka(EmbeddedKafka):
    """A broker that has a second port, for users with a password, behind TLS."""

    secure_port: int = 0
    keystore: Path

    def _write_properties(self, logs: Path) -> None:
        super()._write_properties(logs)
        self.secure_port = self.secure_port or free_port()
        more = SECURE.format(
            host=LOOPBACK,
            plain=self.port,
            controller=self._remembered.controller_port,
            secure=self.secure_port,
            keystore=self.keystore,
        )
        file = self._home / "server.properties"
        kept = [
            line
            for line in file.read_text().splitlines()
            if not line.startswith(("listeners=", "listener.security.protocol.map="))
        ]
        file.write_text("\n".join(kept) + more)

    def add_user(self, name: str, password: str) -> None:
        """As `kafka-configs.sh` does."""
        tool = self._java(
            "kafka.admin.ConfigCommand",
            *("--bootstrap-server", self.bootstrap, "--alter", "--entity-type", "users", "--entity-name", name),
            *("--add-config", f"SCRAM-SHA-512=[password={password}]"),
        )
        assert tool.wait(60) == 0


def certificates(folder: Path) -> tuple[Path, Path]:
    """An authority's certificate, and a broker's with its key."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("test authority", "test broker")]

    def signed(place: int) -> x509.CertificateBuilder:
        now = clock.now()
        builder = x509.CertificateBuilder().subject_name(names[place]).issuer_name(names[0])
        builder = builder.public_key(keys[place].public_key()).serial_number(place + 1)
        return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))

    own = signed(0).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    broker = signed(1).add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(LOOPBACK))]), critical=False
    )
    authority, keystore = folder / "authority.pem", folder / "broker.pem"
    authority.write_bytes(own.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    keystore.write_bytes(private + broker.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return authority, keystore


@pytest.fixture(scope="module")
def secure(lasting_folder: Path) -> Iterator[tuple[SecureKafka, Path]]:
    """The broker and the certificate of the authority that vouches for it."""
    authority, keystore = certificates(lasting_folder)
    broker = SecureKafka(lasting_folder / "kafka-data")
    broker.keystore = keystore
    with broker:
        broker.add_user(USER, PASSWORD)
        yield broker, authority


def settings(secure: tuple[SecureKafka, Path], **others: Any) -> ServiceSettings:
    """What orders is told of this broker."""
    broker, authority = secure
    given = {
        "database_url": "postgresql://nobody@127.0.0.1/nothing",
        "kafka_bootstrap": f"{LOOPBACK}:{broker.secure_port}",
        "kafka_security_protocol": "SASL_SSL",
        "kafka_ssl_cafile": authority,
        "kafka_sasl_username": USER,
        "kafka_sasl_password": PASSWORD,
    }
    return load("orders").settings(**{**given, **others})


async def test_an_event_goes_round_behind_tls_and_a_password(secure: tuple[SecureKafka, Path]) -> None:
    right = settings(secure)
    wanted = told(TopicSettings, **{name: value for name, value in right if name.startswith("kafka")})
    await asyncio.to_thread(make_topics, ["orders"], wanted, lambda _: None)
    bus = kafka_bus(load("orders"), right)
    stop, came = asyncio.Event(), []

    async def apply(messages: Any) -> None:
        came.extend(messages)
        stop.set()

    key = str(uuid7())
    await bus.send([Message("orders", key, b"{}")])
    assert await bus.away() is None
    async with asyncio.timeout(60):
        await bus.consume("secure", ["orders"], apply, stop)
    assert [message.key for message in came] == [key]
    await bus.stop()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"kafka_sasl_password": "another"}, "the broker does not take the user jicai or the password"),
        ({"kafka_sasl_username": "nobody"}, "the broker does not take the user nobody or the password"),
        ({"kafka_ssl_cafile": None}, "the certificate of the broker is not trusted"),
        ({"kafka_bootstrap": f"{LOOPBACK}:1"}, "nobody answers"),
    ],
)
async def test_what_a_broker_refuses_is_said_in_words(
    secure: tuple[SecureKafka, Path], wrong: dict[str, Any], words: str
) -> None:
    bus = KafkaBus(client_id="orders", **connection_of(settings(secure, **wrong)))
    with pytest.raises(BusAway, match=words):
        await bus.send([Message("orders", "key", b"{}")])
    assert words in str(await bus.away())
    with pytest.raises(BusAway, match=words):
        await bus.consume("refused", ["orders"], lambda _: asyncio.sleep(0), asyncio.Event())
    assert words in str(await bus.away())
    await bus.stop()
    with pytest.raises(BusAway, match=words):
        await ensure_topics(["orders"], **connection_of(settings(secure, **wrong)))
