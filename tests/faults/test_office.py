"""The bank of the fault run is as simple as a bank can be: it pays what its files say."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from tests.faults import office
from tests.faults.office import Bank


def tell(folder: Path, file: str, *payments: str) -> None:
    (folder / "payments").mkdir(exist_ok=True)
    with (folder / "payments" / file).open("w", encoding="utf-8-sig", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(["payment_id", "run_id", "amount_yuan"])
        rows.writerows([payment, "run", "10.00"] for payment in payments)


def words(bank: Bank) -> list[tuple[list[str], str]]:
    return [([row["payment_id"] for row in rows], verdict) for rows, verdict in bank.answers()]


def test_what_stands_in_two_files_is_paid_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "REFUSED", 0)
    monkeypatch.setattr(office, "BOUNCED", 0)
    bank = Bank(tmp_path, {})
    tell(tmp_path, "1.csv", "a", "b")
    assert words(bank) == [(["a", "b"], "paid")]
    assert words(bank) == []
    tell(tmp_path, "2.csv", "b")
    assert words(bank) == [(["b"], "paid")]
    assert bank.book == {"a": Decimal(10), "b": Decimal(20)}


def test_what_is_refused_or_comes_back_is_not_paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "REFUSED", 1)
    monkeypatch.setattr(office, "BOUNCED", 1)
    bank = Bank(tmp_path, {})
    tell(tmp_path, "1.csv", "a")
    assert words(bank) == [(["a"], "refused")]
    monkeypatch.setattr(office, "REFUSED", 0)
    tell(tmp_path, "2.csv", "b")
    assert words(bank) == [(["b"], "paid")]
    assert bank.book == {"a": Decimal(0), "b": Decimal(10)}
    assert words(bank) == [(["b"], "bounced")]
    assert words(bank) == []
    assert bank.book == {"a": Decimal(0), "b": Decimal(0)}


def test_a_willing_bank_pays_whatever_is_new_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "REFUSED", 1)
    monkeypatch.setattr(office, "BOUNCED", 1)
    bank = Bank(tmp_path, {}, willing=True)
    tell(tmp_path, "1.csv", "a")
    assert words(bank) == [(["a"], "paid")]
    assert words(bank) == []
    assert bank.book == {"a": Decimal(10)}
