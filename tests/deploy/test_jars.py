"""Which certificates the Maven repository is met with: requests' own, then pip's, then the machine's; and by one at a time."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from requests.exceptions import SSLError

from deploy import jars
from deploy.embedded import JarsUnavailable


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A certificate that only pip was told of."""
    certificate = tmp_path / "company.pem"
    certificate.touch()
    monkeypatch.setenv("PIP_CERT", str(certificate))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    return str(certificate)


def test_a_certificate_unknown_to_requests_is_looked_for_with_pip(
    company: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def repository(coordinates: tuple[str, ...]) -> list[str]:
        asked.append(os.environ.get("REQUESTS_CA_BUNDLE"))
        if asked[-1] != company:
            raise SSLError("unknown certificate")
        return ["a.jar", "b.jar"]

    monkeypatch.setattr(jars, "_resolve", repository)
    assert jars.class_path(("g:a:1",)) == "a.jar:b.jar"
    assert asked == [None, company]
    assert "REQUESTS_CA_BUNDLE" not in os.environ


@pytest.mark.usefixtures("company")
def test_a_certificate_nobody_knows_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def repository(coordinates: tuple[str, ...]) -> list[str]:
        raise SSLError("unknown certificate")

    monkeypatch.setattr(jars, "_resolve", repository)
    with pytest.raises(JarsUnavailable, match=r"jars of g:a:1 .* could not be fetched .*\(SSLError\)"):
        jars.class_path(("g:a:1",))


def test_two_who_need_jars_at_once_fetch_them_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    fetching, together = 0, []

    def repository(coordinates: tuple[str, ...]) -> list[str]:
        nonlocal fetching
        fetching += 1
        time.sleep(0.1)
        together.append(fetching)
        fetching -= 1
        return list(coordinates)

    monkeypatch.setattr(jars, "_resolve", repository)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(jars.class_path, [(f"g:a:{number}",) for number in range(4)])) == [
            f"g:a:{number}" for number in range(4)
        ]
    assert together == [1, 1, 1, 1]
