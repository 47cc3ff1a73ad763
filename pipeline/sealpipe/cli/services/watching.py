"""What `run --watch` and `watch` have in common: whose store is followed, and who opens."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from sealpipe.cli import output, workspaces
from sealpipe.cli.options import Common
from sealpipe.released import Release, Unit

if TYPE_CHECKING:
    from sealpipe.client.events import Event
    from sealpipe.client.source import Source
    from sealpipe.model import Workspace
    from sealpipe.trust import Pin

_KEYS = ("KEY", "KEY_FILE", "KEY_CMD")
_TOLD = ("refused", "alarm", "older", "retired", "unavailable", "recovered", "watcher-failed", "cache")


class Followed(NamedTuple):
    """A source, and what opens its releases: None for the service's own key, which the source finds."""

    source: Source
    opens: Callable[[Release], Any] | None
    own: Mapping[str, str]  # the service's own bootstrap, where its key is at hand


def followed(opts: Common, unit: Unit, *, fake: bool = False, reveal: bool = True) -> Followed:
    """By SEALPIPE_URL as a service is, else by the repository with a person's key.

    Without `reveal` nothing is opened: secrets stay sealed text, and no key is needed.
    """
    from sealpipe.cli.services.run import SERVICE, service_key
    from sealpipe.client.source import Source

    def shut(release: Release) -> Any:
        return release.draft.values

    if os.environ.get("SEALPIPE_URL"):
        names = (f"SEALPIPE_{name}" for name in SERVICE)
        own = {name: os.environ[name] for name in names if name in os.environ}
        own |= {"SEALPIPE_ENV": unit.environment, "SEALPIPE_SERVICE": unit.service}
        source = Source.from_env(env=unit.environment, service=unit.service)
        return Followed(source, None if reveal else shut, own)
    from sealpipe.looking.reading import need_published
    from sealpipe.serving.handing import from_release

    workspace = workspaces.read_workspace(opts)
    pins = workspaces.trusted_pins(opts, workspace)
    first = need_published(workspace, unit, pins)
    named = service_variables(workspace, unit, pins)
    given = {name: named[f"SEALPIPE_{name.upper()}"] for name in ("url", "env", "service", "trust")}
    source = Source.from_env(**given, cache="")
    if not reveal:
        return Followed(source, shut, {})
    if service_key(first) is not None:
        return Followed(source, None, named)
    known: dict[tuple[str, str], Any] = {}

    def keys_of(workspace: Workspace, environment: str) -> Any:
        # A key's command asks for a touch or a PIN: once, not at every release.
        keyring = workspace.keyrings.get(environment)
        at = (environment, keyring.digest if keyring else "")
        if at not in known:
            known[at] = workspaces.maybe_keys(workspace, environment)
        return known[at]

    def opens(release: Release) -> Any:
        return from_release(workspaces.read_workspace(opts), release, keys_of, fake=fake).values

    return Followed(source, opens, {})


def service_variables(workspace: Workspace, unit: Unit, pins: tuple[Pin, ...]) -> dict[str, str]:
    """What `connect` would print for this unit, with the key that is set already."""
    url = workspace.project.environments[unit.environment].publish_to or ""
    if url.startswith("file:") and not url.startswith("file:/"):
        url = f"file:{workspace.root}/{url.removeprefix('file:')}"
    keys = {name: os.environ[name] for name in map("SEALPIPE_{}".format, _KEYS) if name in os.environ}
    trust = [pin.text.partition("@")[0] + (f"@{pin.min_version}" if pin.min_version else "") for pin in pins]
    return {
        "SEALPIPE_URL": url,
        "SEALPIPE_ENV": unit.environment,
        "SEALPIPE_SERVICE": unit.service,
        "SEALPIPE_TRUST": ",".join(trust),
        **keys,
    }


def teller(opts: Common) -> Callable[[Event], None]:
    """Says on stderr what a person must know of; a new release is said by who takes it."""

    def tell(happened: Event) -> None:
        if happened.kind in _TOLD:
            output.note(opts, f"{happened.kind}: {happened.text}")

    return tell


def run_watching(
    opts: Common,
    unit: Unit,
    program: tuple[str, ...],
    *,
    file: str | None,
    bare: bool,
    fake: bool,
    sends: str | None,
) -> int:
    """`run --watch`."""
    from sealpipe.files import private_folder
    from sealpipe.serving.follow import Follower, follow
    from sealpipe.serving.serve import (
        Carrier,
        child_environment,
        rewrite_values,
        value_variables,
        values_file,
    )
    from sealpipe.serving.supervise import signal_of, supervise

    number = signal_of(sends) if sends else None
    found = followed(opts, unit, fake=fake)
    check = None if file or bare else lambda handed: value_variables(handed, os.environ)
    follower = Follower(teller(opts), check)
    feed = follow(found.source, follower, found.opens)
    follower.changed.clear()
    try:
        with private_folder() as memory, ExitStack() as links:
            carrier = Carrier(memory, unit)
            files: dict[str, str] = {}

            def renew() -> None:
                handed = follower.handed
                if handed is None:
                    raise AssertionError  # `follow` has it
                carrier.write(handed)
                again = " again" if carrier.number > 1 else ""
                output.note(opts, f"{unit} {handed.label} → {program[0]}{again}")
                if file and carrier.number > 1:
                    rewrite_values(file, handed, memory)

            def environ() -> dict[str, str]:
                handed = follower.handed
                if handed is None:
                    raise AssertionError
                if bare and found.own:
                    return child_environment(os.environ, found.own)
                values = files
                if not (file or bare):
                    values = {**value_variables(handed, os.environ), "SEALPIPE_RUN": carrier.digest}
                return child_environment(os.environ, carrier.bootstrap(), values)

            renew()
            if file and follower.handed is not None:
                target = links.enter_context(values_file(file, follower.handed, memory))
                files["SEALPIPE_FILE"] = str(target)
            return supervise(
                program, environ, follower.changed, restart=sends is None, send=number, renew=renew
            )
    finally:
        feed.leave(follower)
