"""What `run --watch` and `watch` have in common: whose store is followed, and who opens."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from sealpipe.cli import output, workspaces
from sealpipe.cli.options import Common
from sealpipe.frozen import NamedTuple
from sealpipe.released import Release, Unit

if TYPE_CHECKING:
    from pathlib import Path

    from sealpipe.client.events import Event
    from sealpipe.client.source import Source
    from sealpipe.model import Workspace
    from sealpipe.serving.follow import Follower
    from sealpipe.serving.handing import Handed
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


class Program(NamedTuple):
    """What `run --watch` was asked to do."""

    command: tuple[str, ...]
    file: str | None
    bare: bool  # only the bootstrap variables
    fake: bool
    sends: str | None  # a signal's name; None restarts


def run_watching(opts: Common, unit: Unit, program: Program) -> int:
    """`run --watch`."""
    from sealpipe.files import private_folder
    from sealpipe.serving.follow import Follower, follow
    from sealpipe.serving.serve import value_variables
    from sealpipe.serving.supervise import signal_of, supervise

    number = signal_of(program.sends) if program.sends else None
    found = followed(opts, unit, fake=program.fake)
    checked = None if program.file or program.bare else lambda handed: value_variables(handed, os.environ)
    follower = Follower(teller(opts), checked)
    feed = follow(found.source, follower, found.opens)
    follower.changed.clear()
    try:
        with private_folder() as memory, ExitStack() as links:
            hands = _Hands(opts, program, follower, found.own, memory)
            hands.renew()
            hands.link(links)
            return supervise(
                program.command,
                hands.environ,
                follower.changed,
                restart=program.sends is None,
                send=number,
                renew=hands.renew,
            )
    finally:
        feed.leave(follower)


class _Hands:
    """Hands the newest release to a program: as variables, as a file, or as a release in memory."""

    def __init__(
        self, opts: Common, program: Program, follower: Follower, own: Mapping[str, str], memory: Path
    ) -> None:
        from sealpipe.serving.serve import Carrier

        self.opts, self.program, self.follower, self.own, self.memory = opts, program, follower, own, memory
        self.carrier = Carrier(memory, self.handed.unit)
        self.values: dict[str, str] = {}

    @property
    def handed(self) -> Handed:
        found = self.follower.handed
        if found is None:
            raise AssertionError  # `follow` has it
        return found

    def renew(self) -> None:
        from sealpipe.serving.serve import rewrite_values

        handed = self.handed
        self.carrier.write(handed)
        again = " again" if self.carrier.number > 1 else ""
        output.note(self.opts, f"{handed.unit} {handed.label} → {self.program.command[0]}{again}")
        if self.program.file and again:
            rewrite_values(self.program.file, handed, self.memory)

    def link(self, links: ExitStack) -> None:
        from sealpipe.serving.serve import values_file

        if self.program.file:
            target = links.enter_context(values_file(self.program.file, self.handed, self.memory))
            self.values["SEALPIPE_FILE"] = str(target)

    def environ(self) -> dict[str, str]:
        from sealpipe.serving.serve import child_environment, value_variables

        if self.program.bare and self.own:
            return child_environment(os.environ, self.own)
        values = self.values
        if not (self.program.file or self.program.bare):
            given = value_variables(self.handed, os.environ)
            values = {**given, "SEALPIPE_RUN": self.carrier.digest}
        return child_environment(os.environ, self.carrier.bootstrap(), values)
