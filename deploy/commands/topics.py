"""`jicai topics`: makes the topics on a Kafka, one a service."""

import typer

from deploy.services import NAMES
from deploy.wiring import TopicSettings, make_topics, told


def topics() -> None:
    """Makes missing topics and mends the settings of the others, showing each difference before it changes.

    Told by JICAI_KAFKA_BOOTSTRAP, JICAI_TOPIC_PARTITIONS, JICAI_TOPIC_REPLICAS, JICAI_TOPIC_MIN_INSYNC_REPLICAS
    and JICAI_LIMIT_KAFKA_DAYS.
    """
    said: list[str] = []

    def say(difference: str) -> None:
        said.append(difference)
        typer.echo(difference)

    make_topics(NAMES, told(TopicSettings), say)
    if not said:
        typer.echo("Nothing to change.")


def add_to(app: typer.Typer) -> None:
    app.command()(topics)
