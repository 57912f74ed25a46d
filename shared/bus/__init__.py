"""How events travel: the Bus protocol, Apache Kafka behind it, and LocalBus for one process."""

from shared.bus.base import Apply, Bus, BusAway, Message, Transient
from shared.bus.kafka import KafkaBus
from shared.bus.local import LocalBus
from shared.bus.offsets import GroupAtWork, Step, rewind
from shared.bus.topics import ensure_topics

__all__ = [
    "Apply",
    "Bus",
    "BusAway",
    "GroupAtWork",
    "KafkaBus",
    "LocalBus",
    "Message",
    "Step",
    "Transient",
    "ensure_topics",
    "rewind",
]
