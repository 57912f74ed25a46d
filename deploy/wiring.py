"""Reads what a process is told by its environment, and connects it to the bus."""

import asyncio
import difflib
import os
import ssl
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.embedded import CannotStart
from shared.bus import BusAway, KafkaBus, ensure_topics
from shared.service import Service
from shared.settings import Limits, ServiceSettings, SheetLimits

S = TypeVar("S", bound=BaseSettings)
DAY_MS = 86_400_000
LIMITS: dict[str, type[BaseSettings]] = {limits.__name__: limits for limits in (Limits, SheetLimits)}
LIMIT = str(Limits.model_config.get("env_prefix"))


class SettingsRefused(CannotStart):
    """The environment says too little, or something that cannot be."""


class BrokerRefused(CannotStart):
    """Kafka does not answer, or not to this user."""


class TopicSettings(ServiceSettings):
    """How topics are made, and the Kafka they are made on: JICAI_KAFKA_BOOTSTRAP, JICAI_TOPIC_PARTITIONS, …"""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="JICAI_")

    database_url: str = Field("", description="not used: topics are in no database")
    topic_partitions: int = Field(6, gt=0)
    topic_replicas: int = Field(1, gt=0)
    topic_min_insync_replicas: int = Field(1, gt=0)

    @field_validator("topic_min_insync_replicas")
    @classmethod
    def _within_replicas(cls, least: int, said: ValidationInfo) -> int:
        replicas = said.data.get("topic_replicas", least)
        if least > replicas:
            raise ValueError(
                f"is {least}, allowed are 1 to {replicas}, the replicas of a topic; Kafka ignores a larger one"
            )
        return least

    @property
    def configs(self) -> dict[str, str]:
        """What the broker is told of each topic."""
        return {
            "retention.ms": str(int(self.limits.kafka_days * DAY_MS)),
            "segment.ms": str(DAY_MS),  # what is forgotten is a segment, a week long unless told
            "min.insync.replicas": str(self.topic_min_insync_replicas),
        }


def told(settings: type[S], **given: Any) -> S:
    """The settings of this process; raises SettingsRefused, naming the variable."""
    _known_limits()
    try:
        return settings(**given)
    except ValidationError as refusal:
        refused = LIMITS.get(refusal.title, settings)  # limits are read on their own, when nobody gives them
        prefix = refused.model_config.get("env_prefix", "")
        named = (
            (prefix + "_".join(map(str, fault["loc"])).upper() if fault["loc"] else "", fault["msg"])
            for fault in refusal.errors()
        )
        wrong = [f"{variable}: {said}" if variable else said for variable, said in named]
        raise SettingsRefused(f"The environment does not say what is needed: {'; '.join(wrong)}.") from refusal


def _known_limits() -> None:
    """Raises SettingsRefused for a variable that is meant to set a limit, and is the name of none."""
    known = [
        f"{limits.model_config.get('env_prefix')}{name}".upper().removeprefix(LIMIT)
        for limits in LIMITS.values()
        for name in limits.model_fields
    ]
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(LIMIT)
        if variable.upper().startswith(LIMIT) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {LIMIT}{near[0]}?" if near else "docs/limits.md names all."
            raise SettingsRefused(f"{variable} sets no limit that there is; {meant}")


def connection_of(settings: ServiceSettings) -> dict[str, Any]:
    """How Kafka is reached, in the words of its client."""
    connection: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        connection["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        connection |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
        }
    return connection


def kafka_bus(service: Service, settings: ServiceSettings) -> KafkaBus:
    """The bus of one worker."""
    limits = settings.limits
    return KafkaBus(
        client_id=service.name,
        batch_messages=limits.consumer_messages,
        drain_seconds=limits.drain_seconds,
        session_seconds=settings.kafka_session_seconds,
        **connection_of(settings),
    )


def make_topics(names: Sequence[str], settings: TopicSettings, say: Callable[[str], None], **how: Any) -> list[str]:
    """Makes and mends the topics as `ensure_topics` does, which takes `how`; returns what was not done. Raises BrokerRefused."""
    making = ensure_topics(
        names,
        partitions=settings.topic_partitions,
        replication=settings.topic_replicas,
        settings=settings.configs,
        say=say,
        **how,
        **connection_of(settings),
    )
    try:
        return asyncio.run(making)
    except BusAway as away:
        raise BrokerRefused(f"Kafka at {settings.kafka_bootstrap}: {away}") from away
