"""What traceability is told: `TRACEABILITY_*`, and how much one document or call may hold."""

from datetime import timedelta

from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings

CODES_PER_DOCUMENT = 3_500
"""Codes of one bill; the platform of the field takes as many (domain rules 1.3)."""
CODES_PER_CALL = 50_000
"""Codes of all documents of one call: what is checked and stored in a second or two."""
CHILDREN_PER_PACKING = 3_500
LOTS_PER_RECALL = 500
PACKS_PER_UNIT = 100_000
"""Sale units inside one case: more is a slip of the hand."""
CLOCK_SKEW = timedelta(minutes=5)
"""How far a scanner's clock may run ahead."""
ON_ITS_WAY = timedelta(minutes=2)
"""How long what orders says may take to arrive here; a shipment line older than that and still unknown does not exist."""

COME_AGAIN_SECONDS = 1
"""When to send again what was sent before the news it is about had arrived."""


class TraceabilitySettings(ServiceSettings):
    """Read from `TRACEABILITY_DATABASE_URL` and the like."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="TRACEABILITY_")
