"""`jicai topics`: makes the topics on a Kafka, one a service."""

import sys
from typing import Annotated

import typer

from deploy.services import NAMES
from deploy.wiring import TopicSettings, make_topics, told


def topics(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Shows the differences and changes nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Also shortens what Kafka keeps: the rest is forgotten.")] = False,
) -> None:
    """Makes missing topics and mends the settings of the others, showing each difference before it changes.

    What Kafka keeps is shortened only when that is agreed to: `jicai rewind` cannot read again what is forgotten. Exit status 1:
    a difference stays.

    Told by JICAI_KAFKA_BOOTSTRAP, JICAI_TOPIC_PARTITIONS, JICAI_TOPIC_REPLICAS, JICAI_TOPIC_MIN_INSYNC_REPLICAS
    and JICAI_LIMIT_KAFKA_DAYS.
    """
    said: list[str] = []

    def say(difference: str) -> None:
        said.append(difference)
        typer.echo(difference)

    def may_forget() -> bool:
        if yes or sys.stdin.isatty():
            return yes or typer.confirm("Shall Kafka forget what is more than that?")
        typer.echo("What Kafka keeps is shortened with --yes alone.", err=True)
        return False

    undone = make_topics(NAMES, told(TopicSettings), say, may_forget=may_forget, dry_run=dry_run)
    if not said:
        typer.echo("Nothing to change.")
    if undone:
        typer.echo(f"Not done: {'; '.join(undone)}.", err=True)
    if undone or (dry_run and said):
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    app.command()(topics)
