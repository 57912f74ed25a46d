"""The command line: an expected error is one sentence and exit 1; the contract's files are those the classes make."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from deploy import contract
from deploy.children import ChildEnded, Children, kept
from deploy.cli import COMMANDS, PANELS, REST, app
from deploy.embedded import DataFolderBusy, is_gone, wait_until
from deploy.environment import Embedded
from deploy.issuer import jwks_file
from deploy.kafka import EmbeddedKafka
from deploy.services import load
from deploy.wiring import SettingsRefused
from shared.events import EVENTS

ROOT = Path(__file__).parents[2]


def said(*arguments: str, **variables: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    result = CliRunner().invoke(app, arguments, env=variables)
    return result.exit_code, result.stdout, result.stderr


def test_the_list_of_commands_holds_each_once_in_its_place() -> None:
    status, shown, _ = said("--help")
    assert status == 0
    assert all(shown.count(f"│ {name} ") == 1 for name in COMMANDS)
    assert all(panel in shown for panel in (*PANELS, REST))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    status, shown, _ = said(command, "--help")
    assert status == 0
    assert f"{command} [OPTIONS]" in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("serve", "ordres"), "There is no service 'ordres'; did you mean orders?\n"),
        (("work", "xyz"), "There is no service 'xyz'; there are listing, orders, settlement, traceability, alerts.\n"),
        (("serve", "orders"), "The environment does not say what is needed: ORDERS_DATABASE_URL: Field required.\n"),
        (("token", "--role", "hospitl", "--org", "H1", "--region", "330100"), "holds no issuer"),
        (("migrate", "settlement", "--database-url", "postgresql://nobody@127.0.0.1:1/x"), "was not migrated"),
    ],
)
def test_an_expected_error_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORDERS_DATABASE_URL", raising=False)
    status, shown, error = said(*arguments)
    assert (status, shown) == (1, "")
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("JICAI_LIMIT_PAGE_ROWS", "9999", " JICAI_LIMIT_PAGE_ROWS: "),
        ("JICAI_LIMIT_SHEET_ROWS", "0", " JICAI_LIMIT_SHEET_ROWS: "),
        (
            "JICAI_LIMIT_PAGE_ROW",
            "9",
            "JICAI_LIMIT_PAGE_ROW sets no limit that there is; did you mean JICAI_LIMIT_PAGE_ROWS?",
        ),
        ("JICAI_LIMIT_SHEET_ROW", "9", "did you mean JICAI_LIMIT_SHEET_ROWS?"),
        ("JICAI_LIMIT_ZZZ", "9", "JICAI_LIMIT_ZZZ sets no limit that there is; docs/limits.md names all."),
    ],
)
def test_a_limit_that_cannot_be_is_refused_by_the_variable_that_was_set(
    variable: str, value: str, sentence: str
) -> None:
    for command in ("serve", "work"):
        status, shown, error = said(command, "orders", ORDERS_DATABASE_URL="postgresql://x", **{variable: value})
        assert (status, shown) == (1, "")
        assert sentence in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("given", ["EMBEDDED", "DRIVEN_CLOCK"])
@pytest.mark.parametrize("command", ["serve", "work"])
def test_nothing_for_trying_out_starts_in_production(command: str, given: str, tmp_path: Path) -> None:
    told = {
        "ORDERS_DATABASE_URL": "postgresql://nobody:word@127.0.0.1:1/x",
        "ORDERS_ISSUER": "urn:jicai:embedded",
        "ORDERS_JWKS": str(tmp_path / "jwks.json"),
        f"ORDERS_{given}": "true",
    }
    status, shown, error = said(command, "orders", JICAI_PRODUCTION="1", **told)
    assert (status, shown) == (1, "")
    assert f"JICAI_PRODUCTION is set, which ORDERS_{given} cannot be together with" in error
    assert error.count("\n") == 1


def test_the_embedded_default_does_not_start_in_production_whatever_it_is_told(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path, {"orders": "postgresql://nobody:word@127.0.0.1:1/x"})
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("JICAI_PRODUCTION", "1")
        variables.setenv("ORDERS_EMBEDDED", "true")
        with pytest.raises(SettingsRefused, match="JICAI_PRODUCTION is set, which ORDERS_EMBEDDED"):
            embedded.settings(load("orders"))


def test_a_folder_without_an_issuer_gives_no_token_and_is_not_made(tmp_path: Path) -> None:
    asked = ("token", "--role", "hospital", "--org", "H33010200059", "--region", "330100", "--data")
    for folder in (tmp_path / "none", tmp_path):
        status, shown, error = said(*asked, str(folder))
        assert (status, shown) == (1, "")
        assert "holds no issuer" in error
        assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("dead", "list", "orders"),
        ("republish", "listing", "enterprises"),
        ("rebuild", "orders", "market"),
        ("audit",),
    ],
)
def test_without_variables_and_without_a_platform_a_command_says_so(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LISTING", "ORDERS"):
        monkeypatch.delenv(f"{name}_DATABASE_URL", raising=False)
    status, shown, error = said(*arguments, "--data", str(tmp_path / "none"))
    assert (status, shown) == (1, "")
    assert "No PostgreSQL was ever started" in error
    assert not (tmp_path / "none").exists()


def test_import_says_what_is_misused_with_status_2(tmp_path: Path) -> None:
    (tmp_path / "sheet.pdf").write_text("x")
    (tmp_path / "sheet.csv").write_text("x")
    for file, sentence in (("no.xlsx", "does not exist"), ("sheet.pdf", "is not called"), (".", "is a folder")):
        status, _, error = said("import", "products", str(tmp_path / file), "--data", str(tmp_path))
        assert status == 2, error
        assert sentence in " ".join(error.replace("│", "").split())
    assert said("import", "hospitals", str(tmp_path / "sheet.csv"))[0] == 2
    status, _, error = said("import", "products", str(tmp_path / "sheet.csv"), "--data", str(tmp_path))
    assert (status, "Nothing runs on" in error) == (2, True)


def test_a_token_is_printed_alone(tmp_path: Path) -> None:
    jwks_file(tmp_path)
    status, shown, error = said(
        "token", "--role", "hospital", "--org", "H33010200059", "--region", "330100", "--data", str(tmp_path)
    )
    assert (status, error) == (0, "")
    assert shown.count(".") == 2


def test_the_contract_in_the_repository_is_what_the_classes_say() -> None:
    assert contract.stale() == [], "run `make events`"


def test_a_stale_contract_is_found_and_mended(tmp_path: Path) -> None:
    assert contract.write(tmp_path) == sorted(contract.files())
    assert contract.stale(tmp_path) == []
    some = f"{min(EVENTS)}.json"
    (tmp_path / some).write_text("{}")
    (tmp_path / "left.over.json").write_text("{}")
    (tmp_path / contract.ASYNCAPI).unlink()
    assert contract.stale(tmp_path) == sorted([contract.ASYNCAPI, some, "left.over.json"])
    contract.write(tmp_path)
    assert contract.stale(tmp_path) == []


def test_topics_are_made_and_forget_only_what_was_agreed_to(tmp_path: Path) -> None:
    with EmbeddedKafka.start(tmp_path) as kafka:
        told = {"JICAI_KAFKA_BOOTSTRAP": kafka.bootstrap}
        assert said("topics", **told)[1].count(": is made, 6 partitions, 1 replicas") == 5
        assert said("topics", **told) == (0, "Nothing to change.\n", "")
        shorter = {**told, "JICAI_LIMIT_KAFKA_DAYS": "3", "JICAI_TOPIC_PARTITIONS": "9"}
        forgets = "retention.ms becomes 259200000, was 604800000; what is more is forgotten"
        status, shown, _ = said("topics", "--dry-run", **shorter)
        assert (status, shown.count(forgets), shown.count("keeps its 6 partitions")) == (1, 5, 5)
        status, shown, error = said("topics", **shorter)
        assert (status, shown.count(forgets), error.count("retention.ms stays 604800000")) == (1, 5, 5)
        assert "What Kafka keeps is shortened with --yes alone." in error
        status, _, error = said("topics", "--yes", **shorter)
        assert (status, error.count("keeps its 6 partitions"), "retention.ms" in error) == (1, 5, False)
        assert said("topics", **{**shorter, "JICAI_TOPIC_PARTITIONS": "6"}) == (0, "Nothing to change.\n", "")
    status, _, error = said("topics", **told)
    assert status == 1
    assert kafka.bootstrap in error


def test_a_process_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        children.start("wrong", ["serve", "ordres"], {})
        with pytest.raises(ChildEnded, match="wrong ended with status 1; its log ends with:\nThere is no service"):
            wait_until(lambda: children.check() is not None, 60)


def test_what_a_killed_keeper_left_is_ended_by_the_next(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from deploy.children import Children;"
        "children = Children(Path(sys.argv[1])).__enter__();"
        "children.start('left', ['run', '--port', '0', '--data', sys.argv[1] + '/inner'], {});"
        "print(children.pid('left'), flush=True); os._exit(9)"
    )
    left = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=False, capture_output=True, text=True, cwd=ROOT
    )
    process = psutil.Process(int(left.stdout))
    with kept(tmp_path), pytest.raises(DataFolderBusy), kept(tmp_path):
        pass
    assert is_gone(process)
    assert not (tmp_path / "processes.json").exists()
