"""The embedded PostgreSQL, a real one: data outlives every way to stop, and a folder has one holder."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.embedded import CannotStart, DataFolderBusy, DataFolderUnwritable, free_port, is_gone, wait_until
from deploy.postgres import EmbeddedPostgres

# Starts a server on the folder in argv, says its pid and port, and waits to be killed.
KEEPER = """
import sys, time
from pathlib import Path
from deploy.postgres import EmbeddedPostgres
server = EmbeddedPostgres.start(Path(sys.argv[1]), durable=False)
print(server.pid, server.port, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def server(lasting_folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres.start(lasting_folder, durable=False) as running:
        yield running


def keeper(folder: Path) -> "subprocess.Popen[str]":
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.Popen(
        [sys.executable, "-c", KEEPER, folder], stdout=subprocess.PIPE, text=True, cwd=root, env=environment
    )


def write_row(server: EmbeddedPostgres) -> None:
    server.ensure_database("orders")
    server.psql("drop table if exists proof; create table proof (n int); insert into proof values (42)", "orders")


def read_row(server: EmbeddedPostgres) -> str:
    return server.psql("select n from proof", "orders")


def test_a_second_start_keeps_data_port_and_password(folder: Path) -> None:
    with EmbeddedPostgres.start(folder) as first:
        write_row(first)
        url = first.url("orders")
    with EmbeddedPostgres.start(folder) as second:
        assert read_row(second) == "42"
        assert second.url("orders") == url


def test_restart_after_kill_keeps_what_was_committed(server: EmbeddedPostgres) -> None:
    write_row(server)
    url = server.url()
    server.kill()
    server.restart()
    assert read_row(server) == "42"
    assert server.url() == url


def test_a_server_orphaned_by_kill_minus_nine_is_taken_over(folder: Path) -> None:
    holder = keeper(folder)
    assert holder.stdout is not None
    orphan_pid, port = map(int, holder.stdout.readline().split())
    holder.kill()
    holder.communicate()
    assert psutil.pid_exists(orphan_pid)
    with EmbeddedPostgres.start(folder, durable=False) as heir:
        assert is_gone_pid(orphan_pid)
        assert heir.port == port
        assert heir.psql("select 1") == "1"


def test_a_postmaster_killed_under_its_children_is_replaced(server: EmbeddedPostgres) -> None:
    write_row(server)
    os.kill(server.pid, signal.SIGKILL)
    server.restart()
    assert read_row(server) == "42"


def test_a_stale_pid_file_that_names_another_program_is_no_server(folder: Path) -> None:
    with EmbeddedPostgres.start(folder, durable=False) as first:
        pid_file = folder / "postgres" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        first.kill()
    lines[0] = str(os.getpid())
    pid_file.write_text("\n".join(lines))
    with EmbeddedPostgres.start(folder, durable=False) as second:
        assert second.psql("select 1") == "1"


def test_a_cluster_half_made_is_made_again(folder: Path) -> None:
    (folder / "postgres.new" / "base").mkdir(parents=True)
    with EmbeddedPostgres.start(folder, durable=False) as server:
        assert server.psql("select 1") == "1"


def test_a_second_holder_is_refused_with_one_sentence(folder: Path) -> None:
    holder = keeper(folder)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(DataFolderBusy, match=rf"in use by process {holder.pid}; stop that process"):
            EmbeddedPostgres.start(folder)
    finally:
        holder.kill()
        holder.communicate()
        EmbeddedPostgres.start(folder, durable=False).stop()


def test_a_folder_that_cannot_be_made_is_refused_with_one_sentence(folder: Path) -> None:
    (folder / "file").write_text("in the way")
    with pytest.raises(DataFolderUnwritable, match=r"data folder .*/file/data cannot be written .*choose another"):
        EmbeddedPostgres.start(folder / "file" / "data")


def test_a_taken_port_is_refused_by_its_number(folder: Path, server: EmbeddedPostgres) -> None:
    with pytest.raises(CannotStart, match=f"Port {server.port} .* is taken"):
        EmbeddedPostgres.start(folder / "other", port=server.port)


def test_an_asked_port_is_used(folder: Path) -> None:
    port = free_port()
    with EmbeddedPostgres.start(folder, port=port, durable=False) as server:
        assert server.port == port


def test_only_the_password_opens_the_server_and_only_its_owner_reads_it(
    server: EmbeddedPostgres,
) -> None:
    secret = server.folder / "postgres" / "jicai.json"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert server.psql("select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256'") == "0"


def test_commits_are_durable_unless_a_test_says_otherwise(folder: Path) -> None:
    with EmbeddedPostgres.start(folder) as durable:
        assert durable.psql("show fsync") == "on"
        assert durable.psql("show synchronous_commit") == "on"


@pytest.mark.parametrize("name", ["", "Orders", "a;b", "1a", "a" * 64, "a'b"])
def test_a_database_name_that_needs_quotes_is_refused(server: EmbeddedPostgres, name: str) -> None:
    with pytest.raises(ValueError, match="is no database name"):
        server.ensure_database(name)


def is_gone_pid(pid: int) -> bool:
    def gone() -> bool:
        return not psutil.pid_exists(pid) or is_gone(psutil.Process(pid))

    return wait_until(gone, timeout_seconds=5)
