"""The laws of the house, held over every file; each law is first shown to catch a deliberate break."""

from pathlib import Path

import pytest

from shared.events import EVENTS
from tests import tidy
from tests.tidy import Law

ROOT = Path(__file__).parents[1]
SERVICES = ("listing", "orders", "settlement", "traceability", "alerts")
SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for top in ("shared", "services", "deploy")
    for path in sorted((ROOT / top).rglob("*.py"))
}
TESTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted((ROOT / "tests").rglob("*.py"))}

# A migration is written by alembic, and as long as the tables of its service.
WRITTEN_BY_ALEMBIC = tuple(f"services/{service}/migrations" for service in SERVICES)

LAWS = (
    Law(
        "one commit, in shared/db",
        tidy.commits,
        home=("shared/db",),
        exceptions={
            "shared/bus/lanes.py": "commits the offsets of Kafka, after the database has committed the rows",
            "shared/bus/offsets.py": "puts the offsets of Kafka back, for a service that was restored",
        },
    ),
    # While a newer version is rolled out, its tables have columns that this one does not know.
    Law("columns are named", tidy.takes_any_column, home=("shared/migrations",)),
    Law("values are frozen by shared/values", tidy.freezes_by_itself),
    Law("aiokafka only in shared/bus", tidy.imports_aiokafka, home=("shared/bus",)),
    Law("the time is asked in shared/clock", tidy.asks_the_time, home=("shared/clock",)),
    # A request's edge answers every fault as a problem; the worker's loop outlives every fault.
    Law(
        "everything is caught at two edges",
        tidy.catches_everything,
        home=("shared/http", "shared/worker"),
        exceptions={
            "shared/inbox.py": "a message that fails is tried alone, then kept with its reason",
            "shared/settling.py": "a letter that still fails stays, with its reason",
        },
    ),
    Law("a file is short", tidy.has_long_file, home=WRITTEN_BY_ALEMBIC),
    Law("a function is short", tidy.has_long_function, home=WRITTEN_BY_ALEMBIC),
    Law("a module opens by saying what it is for", tidy.opens_without_docstring),
    Law("no TYPE_CHECKING", tidy.plays_type_checking_tricks),
    Law("no import inside a function", tidy.imports_in_function),
)

BREAKS = {
    "columns are named": ['x = "INSERT INTO a VALUES (1) RETURNING *"', 'x = "SELECT *\\nFROM a WHERE id = 1"'],
    "values are frozen by shared/values": ["@dataclass(frozen=True, slots=True)\nclass Line:\n    number: int"],
    "one commit, in shared/db": [
        "async def f(tx):\n    await tx.commit()",
        "x = connection.commit",
        'run("COMMIT")',
        'run("insert into a values (1); commit")',
    ],
    "aiokafka only in shared/bus": ["import aiokafka", "from aiokafka.errors import KafkaError"],
    "the time is asked in shared/clock": [
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "time.time()",
        "field(default_factory=datetime.now)",
        "from time import time",
    ],
    "everything is caught at two edges": [
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept:\n    pass",
        "try:\n    f()\nexcept (ValueError, BaseException) as e:\n    log(e)",
    ],
    "a file is short": ["x = 1\n" * (tidy.FILE_LINES_MAX + 1)],
    "a function is short": [
        "def f():\n" + "    x = 1\n" * tidy.FUNCTION_LINES_MAX,
        "class A:\n    async def f():\n" + "        x = 1\n" * tidy.FUNCTION_LINES_MAX,
    ],
    "a module opens by saying what it is for": ["", "import os", '""" """', "x = 1\n'''late'''"],
    "no TYPE_CHECKING": [
        "from typing import TYPE_CHECKING",
        "import typing\nif typing.TYPE_CHECKING:\n    import os",
    ],
    "no import inside a function": [
        "def f():\n    import os",
        "async def f():\n    if True:\n        from os import path",
    ],
}

ALLOWED = {
    "columns are named": ['x = "SELECT * FROM unnest($1::int[]) WHERE true"', 'x = "SELECT count(*) FROM a WHERE b"'],
    "values are frozen by shared/values": [
        "@frozen\nclass Line:\n    number: int",
        "@dataclass(slots=True)\nclass Desk:\n    x: int",
    ],
    "one commit, in shared/db": ['"""COMMIT is made elsewhere."""', 'x = "committed"', "commits = 3"],
    "aiokafka only in shared/bus": ['x = "aiokafka"', "from shared.bus import Bus"],
    "the time is asked in shared/clock": ["clock.now()", "time.monotonic()", "datetime.fromisoformat(x)"],
    "everything is caught at two edges": [
        "try:\n    f()\nexcept ValueError:\n    pass",
        "try:\n    f()\nexcept BaseException:\n    undo()\n    raise",
    ],
    "a file is short": ["x = 1\n" * tidy.FILE_LINES_MAX],
    "a function is short": ["def f():\n" + "    x = 1\n" * (tidy.FUNCTION_LINES_MAX - 1)],
    "a module opens by saying what it is for": ['"""What it is for."""'],
    "no TYPE_CHECKING": ["from typing import Any"],
    "no import inside a function": ["import os\ndef f():\n    return os"],
}


def by_name(law: Law) -> str:
    return law.name


@pytest.mark.parametrize("law", LAWS, ids=by_name)
def test_the_law_is_kept_everywhere(law: Law) -> None:
    files = SOURCES | TESTS if law.name == "a file is short" else SOURCES
    kept = [complaint for path, text in files.items() if law.holds_in(path) for complaint in law.complaints(path, text)]
    assert kept == []


@pytest.mark.parametrize("law", LAWS, ids=by_name)
def test_each_exception_is_still_needed(law: Law) -> None:
    idle = [path for path in law.exceptions if not law.complaints(path, SOURCES.get(path, '"""Gone."""'))]
    assert idle == []


@pytest.mark.parametrize("law", LAWS, ids=by_name)
def test_a_deliberate_break_is_caught(law: Law) -> None:
    unseen = [snippet for snippet in BREAKS[law.name] if not law.complaints("services/orders/rules.py", snippet)]
    assert unseen == []


@pytest.mark.parametrize("law", LAWS, ids=by_name)
def test_what_the_law_allows_passes(law: Law) -> None:
    wronged = [snippet for snippet in ALLOWED[law.name] if law.complaints("services/orders/rules.py", snippet)]
    assert wronged == []


def test_a_home_is_a_module_or_its_folder_and_nothing_that_merely_begins_alike() -> None:
    law = Law("", tidy.commits, home=("shared/db",))
    spoken_of = [path for path in ("shared/db.py", "shared/db/tx.py", "shared/dbs.py") if law.holds_in(path)]
    assert spoken_of == ["shared/dbs.py"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_files_of_a_service(service: str) -> None:
    assert tidy.service_complaints(ROOT / "services" / service) == []


def service_folder(at: Path, *more: str) -> Path:
    (at / "migrations").mkdir(parents=True)
    for name in ("__init__", *tidy.SERVICE_LAYERS):
        (at / f"{name}.py").touch()
    for name in more:
        (at / name).touch() if name.endswith(".py") else (at / name).mkdir()
    return at


def test_a_layer_may_be_a_folder_and_gateways_may_be_there(tmp_path: Path) -> None:
    orders = service_folder(tmp_path / "orders", "gateways.py")
    (orders / "handlers.py").unlink()
    (orders / "handlers").mkdir()
    assert tidy.service_complaints(orders) == []


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("utils.py", "orders: utils is no layer of a service"),
        ("models", "orders: models is no layer of a service"),
        ("README.md", "orders: README.md is no layer of a service"),
        ("rules", "orders: rules is both a module and a folder"),
    ],
)
def test_anything_else_at_the_top_of_a_service_is_caught(tmp_path: Path, name: str, complaint: str) -> None:
    assert tidy.service_complaints(service_folder(tmp_path / "orders", name)) == [complaint]


@pytest.mark.parametrize("name", ["router.py", "__init__.py", "migrations"])
def test_a_missing_file_of_a_service_is_caught(tmp_path: Path, name: str) -> None:
    orders = service_folder(tmp_path / "orders")
    (orders / name).unlink() if name.endswith(".py") else (orders / name).rmdir()
    assert tidy.service_complaints(orders) == [
        f"orders: {name.removesuffix('.py') if name == 'router.py' else name} is missing"
    ]


def test_event_types_are_well_formed_their_producers_own_and_unique() -> None:
    types = {service: tidy.declared_events(SOURCES[f"shared/events/{service}.py"]) for service in SERVICES}
    assert tidy.event_complaints(types) == []
    assert {event_type for listed in types.values() for event_type in listed} == set(EVENTS)


@pytest.mark.parametrize(
    ("types", "complaint"),
    [
        (["cn.jicai.orders.order.placed"], "cn.jicai.orders.order.placed is not cn.jicai.<service>"),
        (["cn.jicai.orders.Order.placed.v1"], "cn.jicai.orders.Order.placed.v1 is not cn.jicai.<service>"),
        (["com.jicai.orders.order.placed.v1"], "com.jicai.orders.order.placed.v1 is not cn.jicai.<service>"),
        (["cn.jicai.listing.product.listed.v1"], "cn.jicai.listing.product.listed.v1 is declared in orders"),
        (["cn.jicai.orders.order.placed.v1"] * 2, "cn.jicai.orders.order.placed.v1 is declared twice"),
    ],
)
def test_a_bad_event_type_is_caught(types: list[str], complaint: str) -> None:
    (found,) = tidy.event_complaints({"orders": types})
    assert found.startswith(complaint)


def test_declared_events_are_read_from_the_decorator() -> None:
    text = (
        '@event("cn.jicai.orders.order.placed.v1", subject="order_id")\nclass OrderPlaced(Event):\n    """Placed."""\n'
    )
    assert tidy.declared_events(text) == ["cn.jicai.orders.order.placed.v1"]
