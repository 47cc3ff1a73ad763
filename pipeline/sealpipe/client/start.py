"""How a service starts: the stores in turn within a bounded wait, then the cache, then a clear error.

Every release is verified before it is opened, and never taken below what was verified here before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from sealpipe.client import cache
from sealpipe.client.fetch import CARRIERS, fetch
from sealpipe.client.snapshot import Snapshot, open_release
from sealpipe.client.source import Source
from sealpipe.crypto.keys import PrivateKey
from sealpipe.errors import (
    ConfigError,
    ConfigRefused,
    ConfigUnavailable,
    ConfigUntrusted,
    SecretUnreadable,
    TrustError,
)
from sealpipe.frozen import frozen
from sealpipe.released import Release, Unit
from sealpipe.releases.check import check_release, newer
from sealpipe.trust import Pin, parse_pins

T = TypeVar("T")
_FIRST_PAUSE = 0.1


@frozen
class Started(Generic[T]):
    """What a service starts with."""

    value: T
    snapshot: Snapshot
    origin: str  # "store", "file", "variable" or "cache"
    refused: tuple[ConfigError, ...]  # what was tried before, and why it was not taken
    notes: tuple[str, ...]  # what went wrong with the cache; never a reason not to start


Opens = Callable[[Release], Snapshot]
"""Opens a checked release. Raises ConfigError's kinds, as `snapshot.open_release` does."""


def start(
    source: Source, model: str, accept: Callable[[Snapshot], T], *, opens: Opens | None = None
) -> Started[T]:
    """The first release, from the stores and then from the cache, that `accept` takes.

    `accept` makes what the service uses and raises ConfigError for a release that does not fit; `model`
    tags the cache with what accepts. Raises ConfigError's kinds: 75 only when nothing but the stores'
    absence stands in the way. `opens` takes the place of the service's own key.
    """
    run = _Start(source.checked(), model, accept, opens)
    found = run.from_stores() or run.from_cache()
    if found is None:
        raise _summary(source, run.refused, time.monotonic() - run.began, run.rounds)
    return found


class _Start(Generic[T]):
    def __init__(
        self, source: Source, model: str, accept: Callable[[Snapshot], T], opens: Opens | None
    ) -> None:
        self.source, self.model, self.accept = source, model, accept
        self.pins = pins_of(source)
        self.opens = opens or opener(source)
        self.refused: list[ConfigError] = []
        self.notes: list[str] = []
        self.seen: set[str] = set()
        self.began = time.monotonic()
        self.rounds = 0

    def from_stores(self) -> Started[T] | None:
        """Asks every store in turn, and again those that did not answer, until the wait is over."""
        deadline = self.began + self.source.wait
        away: dict[str, ConfigError] = {}
        urls = list(self.source.urls)
        pause = _FIRST_PAUSE
        while urls:
            self.rounds += 1
            for position, url in enumerate(list(urls)):
                left = max(0.05, deadline - time.monotonic())
                try:
                    return self.from_store(url, left / (len(urls) - position))
                except ConfigUnavailable as error:
                    away[url] = error
                except ConfigError as error:
                    self.refused.append(error)
                    away.pop(url, None)
            urls = [url for url in urls if url in away]
            left = deadline - time.monotonic()
            if not urls or left <= 0:
                break
            time.sleep(min(pause, left))
            pause *= 2
        self.refused.extend(away.values())
        return None

    def from_store(self, url: str, timeout: float) -> Started[T]:
        fetched = fetch(url, self.source.unit, timeout=timeout)
        release = checked(fetched.raw, self.pins, self.source.unit)
        folder = self.source.cache
        if folder:
            refuse_older(release, cache.read_marks(folder, release.unit, release.payload.project))
            self.noting(partial(cache.note_seen, folder, release))
        if release.payload.retired is not None:
            raise retired(release)
        self.seen.add(release.digest)
        snapshot = self.opens(release)
        value = self.accept(snapshot)
        if folder:
            self.noting(partial(cache.note_accepted, folder, release, self.model))
        return Started(value, snapshot, fetched.origin, tuple(self.refused), tuple(self.notes))

    def from_cache(self) -> Started[T] | None:
        """The newest cached generation that is verified, above the floor, and taken by `accept`."""
        folder, unit = self.source.cache, self.source.unit
        for generation in cache.generations(folder, unit) if folder else []:
            raw = generation.read()
            if raw is None:
                continue
            try:
                release = checked(raw, self.pins, unit)
                marks = cache.read_marks(folder, unit, release.payload.project)
                if release.digest in self.seen or release.payload.retired is not None:
                    continue
                refuse_below_floor(release, marks)
                snapshot = self.opens(release)
                value = self.accept(snapshot)
            except ConfigError as error:
                self.refused.append(error)
                continue
            self.noting(partial(cache.note_accepted, folder, release, self.model))
            return Started(value, snapshot, "cache", tuple(self.refused), tuple(self.notes))
        return None

    def noting(self, write: Callable[[], None]) -> None:
        try:
            write()
        except TimeoutError:
            self.notes.append(f"the cache {self.source.cache} is locked by another process")
        except OSError as error:
            self.notes.append(f"the cache {self.source.cache} was not written: {error.strerror}")


def opener(source: Source) -> Opens:
    """Opens with the service's own key, which is found now. SecretUnreadable where it cannot be read."""
    key = key_of(source)
    return lambda release: open_release(release, key)


def pins_of(source: Source) -> tuple[Pin, ...]:
    """The pins of SEALPIPE_TRUST. ConfigError [bootstrap] where they are malformed."""
    pins: tuple[Pin, ...] = ()
    problem = ""
    try:
        pins = parse_pins(source.trust)
    except TrustError as error:
        problem = error.finding.what
    if problem or not pins:
        raise ConfigError("bootstrap", problem or "SEALPIPE_TRUST has no pin", hint=["sealpipe trust show"])
    return pins


def key_of(source: Source) -> PrivateKey | None:
    """The service's key, or None. SecretUnreadable where one is named and cannot be read."""
    failed: SecretUnreadable | None = None
    key: PrivateKey | None = None
    try:
        key = source.find_key()
    except TrustError as error:
        found = error.finding
        failed = SecretUnreadable(
            found.word, f"the service's key: {found.what}", why=found.why, hint=found.hint
        )
    if failed is not None:
        raise failed
    return key


def checked(raw: bytes, pins: tuple[Pin, ...], unit: Unit) -> Release:
    """The verified release in these bytes. ConfigUntrusted with the word of the rule that it breaks."""
    failed: ConfigUntrusted | None = None
    release: Release | None = None
    try:
        release = check_release(raw, pins=pins, unit=unit)
    except TrustError as error:
        found = error.finding
        failed = ConfigUntrusted(found.word, f"{unit}: {found.what}", why=found.why, hint=found.hint)
    if release is None:
        raise failed or ConfigUntrusted("untrusted", f"{unit}: the release was not verified")
    return release


def refuse_older(release: Release, marks: cache.Marks) -> None:
    """ConfigUntrusted for a release below, or beside, one that was verified here before."""
    refuse_below_floor(release, marks)
    verdict = newer(marks.seen, release)
    if verdict in ("load", "same") or marks.seen is None:
        return
    name = f"{release.unit} #{release.payload.number} ({release.short})"
    if verdict == "older":
        raise ConfigUntrusted(
            "older-release",
            f"{name} is offered, and a newer one was accepted here before",
            why=["the store was put back to an older state, or somebody replays an old release"],
            hint=[f"sealpipe publish {release.unit.environment} --reissue"],
        )
    raise ConfigUntrusted(
        "two-releases",
        f"{name} has the order of another release that was accepted here ({marks.seen.digest[:6]})",
        why=["a publisher's key signed two releases with one order: it may be in other hands"],
        hint=[f"sealpipe verify {release.unit.environment}"],
    )


def refuse_below_floor(release: Release, marks: cache.Marks) -> None:
    """ConfigUntrusted for a release under an older, or another, trust document than was seen here."""
    if marks.seen is None:
        return
    name = f"{release.unit} #{release.payload.number} ({release.short})"
    floor = marks.seen.order.trust
    if release.trust_version < floor:
        raise ConfigUntrusted(
            "older-trust",
            f"{name} stands under trust version {release.trust_version}; {floor} was seen here",
            why=["keys may have been revoked in between"],
            hint=[f"sealpipe publish {release.unit.environment}"],
        )
    if release.trust_version == floor and release.payload.trust_digest != marks.seen.trust_digest:
        raise ConfigUntrusted(
            "forked-trust",
            f"{name} has another trust document of version {floor} than was seen here",
            why=[
                "two people changed trust.yaml without knowing of each other, or a root key is in other hands"
            ],
            hint=["sealpipe trust show"],
        )


def retired(release: Release) -> ConfigRefused:
    successor = (release.payload.retired or {}).get("successor")
    return ConfigRefused(
        "retired",
        f"{release.unit} is retired since #{release.payload.number}",
        why=[f"its successor is {successor}"] if successor else [],
        hint=["a service that runs keeps what it has; point SEALPIPE_SERVICE at the successor"],
    )


def _summary(source: Source, refused: list[ConfigError], waited: float, rounds: int) -> ConfigError:
    """One error for all that was tried: the first that is not mere absence gives kind and exit code."""
    away = [error for error in refused if isinstance(error, ConfigUnavailable)]
    main = next((error for error in refused if error not in away), away[0] if away else None)
    if main is None:
        return ConfigUnavailable("no-store", f"{source.unit}: no store was asked")
    found = main.finding
    why = list(found.why)
    why += [f"also: {other.finding.what}" for other in refused if other is not main]
    what = found.what
    if isinstance(main, ConfigUnavailable):
        tries = f"{rounds} tries" if rounds > 1 else "1 try"
        what = f"{source.unit}: {found.what}, {tries} in {waited:.1f} s"
    if not source.cache and all(url.partition(":")[0] in CARRIERS for url in source.urls):
        pass  # a release handed over by another program is never cached
    elif not source.cache:
        why.append("no last good release to start from: SEALPIPE_CACHE is not set")
    elif not any(cache.generations(source.cache, source.unit)):
        why.append(f"no last good release to start from: {source.cache} has none of {source.unit}")
    else:
        why.append(f"no release in {source.cache} could be used instead")
    hint = found.hint or (("to start without the store: SEALPIPE_URL=release:FILE",) if away else ())
    return type(main)(found.word, what, path=found.path, why=why, hint=hint)
