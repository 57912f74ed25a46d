"""How events travel: the Bus protocol, Apache Kafka behind it, and LocalBus for one process."""

from shared.bus.base import Apply, Bus, BusAway, Message, Transient
from shared.bus.kafka import KafkaBus
from shared.bus.local import LocalBus
from shared.bus.topics import ensure_topics

__all__ = ["Apply", "Bus", "BusAway", "KafkaBus", "LocalBus", "Message", "Transient", "ensure_topics"]
