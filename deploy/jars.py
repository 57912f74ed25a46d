"""Java programs by their Maven coordinates: jars are fetched once into the machine's cache, then need no network."""

import fcntl
import logging
import os
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import jgo
from jgo.config import GlobalSettings
from requests.exceptions import SSLError

from deploy.embedded import JarsUnavailable

log = logging.getLogger(__name__)

DOWNLOADS_AT_ONCE = 8


def class_path(coordinates: Sequence[str]) -> str:
    """The jars of each coordinate and all they need, from ~/.m2 or else from the Maven repository.

    Coordinates are resolved one by one: what one manages must not turn back the versions of another.
    A company's certificate is known to the machine and to pip, but not to requests, so those are asked next.
    """
    refusal: SSLError | None = None
    for store in (None, *_trust_stores()):
        try:
            with _alone(), _trusting(store):
                return os.pathsep.join(_resolve(coordinates))
        except SSLError as refused:
            refusal = refused
        except (OSError, RuntimeError, ValueError) as failure:
            raise _unavailable(coordinates, failure) from failure
    raise _unavailable(coordinates, refusal) from refusal


def _resolve(coordinates: Sequence[str]) -> list[str]:
    """Without jgo's environments: those sort jars with a JDK that jgo would first download."""
    repositories = GlobalSettings.load().repositories
    artifacts = [one for coordinate in coordinates for one in jgo.resolve(coordinate, repositories)]
    missing = sum(artifact.cached_path is None for artifact in artifacts)
    if missing:
        log.info("fetching %d jars of %s; this happens once on a machine", missing, coordinates[0])
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        jars = pool.map(lambda artifact: str(artifact.resolve()), artifacts)
        return list(dict.fromkeys(jars))


def _unavailable(coordinates: Sequence[str], failure: Exception | None) -> JarsUnavailable:
    return JarsUnavailable(
        f"The jars of {coordinates[0]} are not on this machine yet and could not be fetched from the Maven repository "
        f"({type(failure).__name__}); check the network, or name a mirror in ~/.config/jgo.conf."
    )


def _trust_stores() -> Iterator[str]:
    """Certificates that pip was given, then those of the machine, a file or a folder, where they exist."""
    machine = ssl.get_default_verify_paths()
    for store in (os.environ.get("PIP_CERT"), machine.cafile, machine.capath):
        if store and Path(store).exists():
            yield store


@contextmanager
def _alone() -> Iterator[None]:
    """One process of a user at a time: jgo takes what another is still writing into the cache for the whole."""
    with (Path(tempfile.gettempdir()) / f"jicai-jars-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _trusting(store: str | None) -> Iterator[None]:
    """requests is told its certificates by the environment alone."""
    before = os.environ.get("REQUESTS_CA_BUNDLE")
    if store is not None:
        os.environ["REQUESTS_CA_BUNDLE"] = store
    try:
        yield
    finally:
        if before is not None:
            os.environ["REQUESTS_CA_BUNDLE"] = before
        elif store is not None:
            del os.environ["REQUESTS_CA_BUNDLE"]
