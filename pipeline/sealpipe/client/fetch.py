"""The bytes of a release from wherever SEALPIPE_URL points. Checks nothing of them."""

from __future__ import annotations

import base64
import binascii
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sealpipe.client.source import shown_url
from sealpipe.errors import (
    ConfigError,
    ConfigRefused,
    ConfigUnavailable,
    SealpipeError,
    StoreError,
    UnsupportedError,
    UsageError,
)
from sealpipe.frozen import NamedTuple
from sealpipe.released import Unit

if TYPE_CHECKING:
    from sealpipe.releases.fetch import Head

SIZE_LIMIT = 4 * 1024 * 1024
CARRIERS = ("release", "env", "held")  # schemes that carry a release without a store

held: dict[str, bytes] = {}
"""`held:NAME` -> a release of this very process. Only `sealpipe.testing` puts something here."""
held_away: set[str] = set()
"""Names in `held` that do not answer at the moment."""


class Fetched(NamedTuple):
    raw: bytes
    origin: str  # "store", "file", "variable" or "memory"


def fetch(url: str, unit: Unit, *, timeout: float) -> Fetched:
    """The unit's release at one URL.

    ConfigUnavailable: no answer, and a later attempt may succeed. ConfigRefused [no-release]: the store
    answered and has none, which is never taken for an empty configuration. ConfigError [bootstrap]: the
    URL is wrong.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "release":
        return Fetched(_from_file(rest), "file")
    if scheme == "env":
        return Fetched(_from_variable(rest), "variable")
    if scheme == "held" and rest in held_away:
        raise ConfigUnavailable("store-unavailable", f"held:{rest}: the store is down: the test says so")
    if scheme == "held" and rest in held:
        return Fetched(held[rest], "memory")
    return Fetched(_from_store(url, unit, timeout), "store")


def _from_file(path: str) -> bytes:
    problem = ""
    raw = b""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        problem = error.strerror or "cannot be read"
    if problem:
        raise ConfigUnavailable("no-release-file", f"release:{path}: {problem}")
    if len(raw) > SIZE_LIMIT:
        raise ConfigRefused("no-release-file", f"release:{path}: larger than a release can be")
    return raw


def _from_variable(name: str) -> bytes:
    text = os.environ.get(name)
    if text is None:
        raise ConfigError("bootstrap", f"SEALPIPE_URL names the variable {name}, which is not set")
    raw: bytes | None = None
    with suppress(binascii.Error, ValueError):
        raw = base64.b64decode("".join(text.split()), validate=True)
    if raw is None:
        raise ConfigRefused("not-a-release", f"the variable {name} does not hold a release in base64")
    return raw


def _from_store(url: str, unit: Unit, timeout: float) -> bytes:
    from sealpipe.releases.fetch import read_head
    from sealpipe.stores.registry import open_store

    failed: SealpipeError | None = None
    head = None
    try:
        store, prefix = open_store(url, base=os.getcwd())  # noqa: PTH109
        try:
            head = read_head(store, prefix, unit, timeout=timeout)
        finally:
            store.close()
    except SealpipeError as error:
        failed = error
    if failed is not None:
        raise away_or_wrong(failed, url, unit)
    return from_head(head, url, unit)


def away_or_wrong(error: SealpipeError, url: str, unit: Unit) -> ConfigError:
    """What an error of a store means to a service: wrong variables, an untrue head, or a store away."""
    shown = shown_url(url)
    found = error.finding
    if isinstance(error, UsageError | UnsupportedError):
        return ConfigError("bootstrap", f"SEALPIPE_URL: {found.what}", hint=found.hint)
    if isinstance(error, StoreError):
        return ConfigUnavailable(error.word, f"{shown}: {found.what}", why=found.why, hint=found.hint)
    return ConfigRefused(error.word, f"{unit} at {shown}: {found.what}")


def from_head(head: Head | None, url: str, unit: Unit) -> bytes:
    """The bytes of a head's release. ConfigRefused [no-release] without one."""
    if head is None:
        shown = shown_url(url)
        _refuse_missing_folder(url, shown)
        raise ConfigRefused(
            "no-release",
            f"{shown} has no release of {unit}",
            why=["an empty store is never taken for an empty configuration"],
            hint=[f"sealpipe publish {unit}", f"sealpipe status {unit}"],
        )
    return head.raw


def _refuse_missing_folder(url: str, shown: str) -> None:
    """A file store without its folder is away, not empty: a volume that is not mounted yet."""
    if url.startswith("file:") and not Path(re.sub(r"^file:(//(localhost)?(?=/))?", "", url)).is_dir():
        raise ConfigUnavailable(
            "store-unavailable",
            f"{shown}: there is no such folder",
            why=["a volume that is not mounted, or nothing was ever published there"],
        )
