"""`sealpipe run`: a program with what is published."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common, Target
from sealpipe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sealpipe.crypto.keys import PrivateKey
    from sealpipe.released import Release, Unit
    from sealpipe.serving.handing import Handed

_EXAMPLES = (
    "sealpipe run dev/checkout -- python app.py",
    "sealpipe run dev/checkout --file config.json -- ./server --config config.json",
    "sealpipe run production/checkout --bootstrap-only -- python app.py",
    "sealpipe run dev/checkout --watch --signal HUP --file config.json -- ./server",
)
SERVICE = ("URL", "ENV", "SERVICE", "TRUST", "CACHE", "KEY", "KEY_FILE", "KEY_CMD")


@options.command("run", examples=_EXAMPLES)
@options.target_argument(service="required")
@options.argument("program", nargs=-1, metavar="-- CMD…")
@options.option(
    "--file", "file", metavar="PATH", help="Values in a file (.json .yaml .env), not as variables."
)
@options.option(
    "--bootstrap-only", is_flag=True, help="Only the SEALPIPE_* variables, for a sealpipe client."
)
@options.option("--fake-secrets", is_flag=True, help="Make up the secrets that your key does not open.")
@options.option("--watch", is_flag=True, help="Restart CMD when another release is published.")
@options.option("--signal", "signal", metavar="NAME", help="With --watch: send it instead (HUP, USR1, none).")
@options.common()
def command(
    opts: Common,
    *,
    target: Target,
    program: tuple[str, ...],
    file: str | None,
    bootstrap_only: bool,
    fake_secrets: bool,
    watch: bool,
    signal: str | None,
) -> int:
    """Start CMD with ENV/SERVICE's published configuration, verified first.

    Values are variables named SERVICE__DB__HOST beside the SEALPIPE_* ones; one that is set already stays.
    With --file they stand in memory, with a link at PATH while CMD runs. Your key opens the secrets and
    never reaches CMD. With SEALPIPE_URL set, as where a service runs, no repository is needed. --watch
    follows the store; a signal is for a CMD that reads --file, or its release, again.
    """
    from sealpipe.files import private_folder
    from sealpipe.serving.serve import Carrier, child_environment, run_program, value_variables, values_file

    if not program:
        raise UsageError("usage", "a command is needed after --", hint=[_EXAMPLES[0]])
    if file and bootstrap_only:
        raise UsageError("usage", "--file and --bootstrap-only exclude each other")
    if signal and not watch:
        raise UsageError("usage", "--signal says what --watch does", hint=[f"{_EXAMPLES[3]}"])
    if signal and not (file or bootstrap_only):
        raise UsageError(
            "usage",
            "a running program's variables do not change: --signal needs --file or --bootstrap-only",
            hint=[_EXAMPLES[3]],
        )
    if watch:
        from sealpipe.cli.services.watching import Program, run_watching

        asked = Program(program, file, bootstrap_only, fake_secrets, signal)
        return run_watching(opts, target.unit(), asked)
    handed, own = _published(opts, target.unit(), fake=fake_secrets)
    if handed.faked:
        output.note(opts, f"made up: {', '.join(handed.faked)}")
    output.note(opts, f"{handed.unit} {handed.label} → {program[0]}")
    if bootstrap_only and own:
        return run_program(program, child_environment(os.environ, own))
    with private_folder() as memory, ExitStack() as links:
        carrier = Carrier(memory, handed.unit)
        carrier.write(handed)
        values: dict[str, str] = {}
        if file:
            values = {"SEALPIPE_FILE": str(links.enter_context(values_file(file, handed, memory)))}
        elif not bootstrap_only:
            values = {**value_variables(handed, os.environ), "SEALPIPE_RUN": carrier.digest}
        return run_program(program, child_environment(os.environ, carrier.bootstrap(), values))


def _published(opts: Common, unit: Unit, *, fake: bool) -> tuple[Handed, Mapping[str, str]]:
    """What is published, opened; and the service's own bootstrap where its own key is at hand."""
    if os.environ.get("SEALPIPE_URL"):
        return _by_bootstrap(unit)
    from sealpipe.cli.services.watching import service_variables
    from sealpipe.client.snapshot import open_release
    from sealpipe.looking.reading import need_published
    from sealpipe.serving.handing import from_release, handed_release

    workspace = workspaces.read_workspace(opts)
    pins = workspaces.trusted_pins(opts, workspace)
    release = need_published(workspace, unit, pins)
    key = service_key(release)
    if key is not None:
        own = service_variables(workspace, unit, pins)
        return handed_release(release, open_release(release, key).values), own
    return from_release(workspace, release, workspaces.maybe_keys, fake=fake), {}


def _by_bootstrap(unit: Unit) -> tuple[Handed, Mapping[str, str]]:
    from sealpipe.client.source import Source
    from sealpipe.client.start import start
    from sealpipe.serving.handing import handed_release

    source = Source.from_env(env=unit.environment, service=unit.service)
    started = start(source, "run", lambda snapshot: snapshot)
    names = (f"SEALPIPE_{name}" for name in SERVICE)
    own = {name: os.environ[name] for name in names if name in os.environ}
    own |= {"SEALPIPE_ENV": unit.environment, "SEALPIPE_SERVICE": unit.service}
    return handed_release(started.snapshot.release, started.value.values), own


def service_key(release: Release) -> PrivateKey | None:
    """The key of SEALPIPE_KEY[_FILE|_CMD] where it is a service's, for which the release has boxes."""
    from sealpipe.keysource import locate

    if not any(os.environ.get(f"SEALPIPE_KEY{end}") for end in ("", "_FILE", "_CMD")):
        return None
    found = locate(os.environ)
    boxed = {r for keys in release.draft.stanzas.values() for readers in keys.values() for r in readers}
    identities = found.identities if found else ()
    return next((one.read for one in identities if one.read.key_id.hex() in boxed), None)
