"""What a service is told by its environment: frozen, built once at the top, never read at import.

Each service reads its own prefix (`ORDERS_DATABASE_URL`, `LISTING_DATABASE_URL`, …). Every limit has a name and a unit.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

EMBEDDED_ISSUER = "urn:jicai:embedded"
"""Who signs the tokens of the embedded default, and is trusted nowhere else."""
PRODUCTION = "JICAI_PRODUCTION"
"""Set to whatever: no process drives its clock, and none trusts the issuer for trying out."""


class IssuersWrong(ValueError):
    """The issuers as they are named cannot be trusted; says which and why."""


class CursorSecretMissing(ValueError):
    """Nothing is there that all processes of an API share to sign cursors with; says what to set."""


def api_role(service: str) -> str:
    """The database role of a service's API."""
    return f"jicai_{service}_api"


def worker_role(service: str) -> str:
    """The database role of a service's worker."""
    return f"jicai_{service}_worker"


class SheetLimits(BaseSettings):
    """How large a sheet may be. The largest named by the platform's users has 300,000 rows of 12 columns."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="JICAI_LIMIT_SHEET_")

    file_bytes: int = Field(256 * 2**20, gt=0)
    rows: int = Field(500_000, gt=0, description="that are not blank, under the header")
    columns: int = Field(256, gt=0)
    cell_characters: int = Field(32_767, gt=0)
    row_characters: int = Field(1_000_000, gt=0, description="of one row of a CSV, over its line breaks")
    expansion_ratio: int = Field(200, gt=0, description="of a workbook's parts to its file")
    uncompressed_bytes: int = Field(2**30, gt=0, description="of all parts of a workbook")
    zip_entries: int = Field(2_000, gt=0)
    shared_strings: int = Field(6_000_000, gt=0)
    cell_styles: int = Field(100_000, gt=0)
    xml_token_bytes: int = Field(4 * 2**20, gt=0)


INBOX_SPARE_DAYS = 3
"""Days that an inbox remembers at least longer than Kafka keeps events: one for a segment, which goes as a whole, and two for an
event that waited for its broker after it was recorded."""


class Limits(BaseSettings):
    """How much one request, batch or statement may be; the units are in the names."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="JICAI_LIMIT_")

    head_bytes: int = Field(64 * 1024, gt=0, description="address and headers of a request, and what follows its body")
    head_seconds: float = Field(10, gt=0, description="from the first byte of a request to the end of its headers")
    connections: int = Field(4_000, gt=0, description="open at once at one port of a process")
    body_bytes: int = Field(8 * 1024 * 1024, gt=0)
    bodies_bytes: int = Field(256 * 1024 * 1024, gt=0, description="of all requests under way in one process")
    body_seconds: float = Field(10, gt=0, description="until the whole body is here; uploads have the request's time")
    upload_bytes: int = Field(200 * 1024 * 1024, gt=0)
    json_depth: int = Field(32, gt=0, le=200, description="lists and objects in one another in a body")
    json_nodes: int = Field(30_000, gt=0, description="lists and objects in a body, all together")
    bulk_items: int = Field(1_000, gt=0, le=1_000, description="of one call; the contract allows no more")
    page_rows: int = Field(500, gt=0, le=500, description="of one page; the contract allows no more")
    requests_per_second: float = Field(500, gt=0, description="of one organisation and operation, after the burst")
    requests_burst: int = Field(2_000, gt=0, description="of one organisation and operation at once")
    concurrent_requests: int = Field(2_000, gt=0, description="under way in one process")
    organisation_requests: int = Field(500, gt=0, description="of one organisation under way in one process")
    organisation_connections: int = Field(2, gt=0, description="of the pool, held by one organisation while others ask")
    request_seconds: float = Field(60, gt=0)
    idempotency_days: float = Field(7, gt=0, description="how long an answer is kept under its Idempotency-Key")
    outbox_days: float = Field(7, gt=0, description="how long a sent event is kept")
    inbox_days: int = Field(
        15, gt=0, description="how long an applied event is remembered; Kafka's days and three more at least"
    )
    kafka_days: float = Field(7, gt=0, description="how long Kafka keeps an event, and up to a day longer")
    relay_rows: int = Field(1_000, gt=0)
    consumer_messages: int = Field(500, gt=0)
    deadline_rows: int = Field(500, gt=0)
    statement_seconds: float = Field(30, gt=0)
    answer_seconds: float = Field(
        3, gt=0, description="for the database's first words, and for its last after a statement's time"
    )
    pool_connections: int = Field(10, gt=0)
    pool_wait_seconds: float = Field(5, gt=0, description="for a connection of the pool, a new one too")
    drain_seconds: float = Field(20, gt=0)
    poll_seconds: float = Field(1, gt=0)
    token_characters: int = Field(8_192, gt=0, description="of a bearer token; longer ones are not looked at")
    token_days: float = Field(366, gt=0, description="from now to the expiry of a token; a longer one is refused")
    remembered_tokens: int = Field(10_000, gt=0, description="verified ones, until they expire")
    jwks_seconds: float = Field(3_600, gt=0, description="how old an issuer's keys grow before they are fetched again")
    jwks_refetch_seconds: float = Field(
        30, gt=0, description="between two fetches, however many unknown keys are named"
    )
    jwks_retry_seconds: float = Field(1, gt=0, description="between two fetches as long as there is no key at all")
    jwks_wait_seconds: float = Field(5, gt=0, description="for an issuer's answer")
    sheet: SheetLimits = Field(default_factory=SheetLimits)

    @model_validator(mode="after")
    def _inbox_remembers_longer(self) -> Self:
        """An event that Kafka still has must not be forgotten by the inbox, or it would be applied twice."""
        if self.inbox_days < self.kafka_days + INBOX_SPARE_DAYS:
            raise ValueError(
                f"inbox_days is {self.inbox_days}, it must be kafka_days, which is {self.kafka_days:g}, and"
                f" {INBOX_SPARE_DAYS} more at least: Kafka forgets a segment of a day at a time, and an event may have waited"
                " for its broker"
            )
        return self


class ServiceSettings(BaseSettings):
    """What every service is told; a service's own settings add to it and set the prefix."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    database_url: str = Field(description="postgresql://user:password@host:port/database")
    api_role: str | None = Field(
        "", validate_default=True, description="database role of the API; jicai_<service>_api unless set"
    )
    worker_role: str | None = Field(
        "", validate_default=True, description="database role of the worker; jicai_<service>_worker unless set"
    )
    bus: Literal["local", "kafka"] = "kafka"
    kafka_bootstrap: str = "localhost:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_ssl_cafile: Path | None = None
    kafka_sasl_mechanism: str = "SCRAM-SHA-512"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_session_seconds: float = Field(
        10, ge=6, description="how long a worker may be silent before its group deals its partitions anew"
    )
    issuer: str = Field("", description="`iss` that tokens must carry")
    jwks: str = Field("", description="address (https) or file of its public keys; unless set the issuer is asked")
    audience: str = Field("", description="`aud` that tokens must carry; the service's name unless set")
    issuers_file: Path | None = Field(None, description="TOML file of more issuers, and for whom each may speak")
    embedded: bool = Field(default=False, description="the embedded default, which trusts the issuer it carries")
    policy_files: tuple[Path, ...] = Field((), description="TOML files laid over the shipped policy, last wins")
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65_535,
        description="of the API: a port of its own for health and /metrics, asked without a token",
    )
    allowed_origins: tuple[str, ...] = Field(
        (),
        description="origins whose pages may ask from a browser (CORS), such as https://portal.example; none: closed",
    )
    cursor_secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="signs the cursors of lists, the same in every process of a service; unless set, made of the password"
        " in the database URL, and needed where that has none",
    )
    driven_clock: bool = Field(default=False, description="the clock may be driven; never in production")
    clock_file: Path | None = Field(None, description="where a driven clock keeps what it shows, and goes on from")
    heads_file: Path | None = Field(
        None, description="of the worker: where each day's head of history is added as a line"
    )
    production: str | None = Field(None, validation_alias=PRODUCTION)
    limits: Limits = Field(default_factory=Limits)

    @model_validator(mode="after")
    def _nothing_for_trying_out(self) -> Self:
        given = [name for name in ("embedded", "driven_clock") if getattr(self, name)]
        if self.production is not None and given:
            named = ", ".join(f"{self.model_config.get('env_prefix', '')}{name}".upper() for name in given)
            raise ValueError(f"{PRODUCTION} is set, which {named} cannot be together with: that is for trying out")
        return self

    @field_validator("api_role", "worker_role")
    @classmethod
    def _of_this_service(cls, given: str | None, field: ValidationInfo) -> str | None:
        """Nobody runs without the second wall by forgetting a variable; None, which no variable can say, takes it away."""
        if given != "":
            return given
        service = cls.model_config.get("env_prefix", "").removesuffix("_").lower()
        return (api_role if field.field_name == "api_role" else worker_role)(service)
