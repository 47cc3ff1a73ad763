"""`sealpipe dev`: a program on the files as they are here."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common, Target
from sealpipe.errors import SealpipeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealpipe.model import Workspace
    from sealpipe.opening import DocumentKeys
    from sealpipe.released import Unit
    from sealpipe.serving.handing import Handed
    from sealpipe.serving.serve import Carrier

_EXAMPLES = (
    "sealpipe dev dev/checkout -- python app.py",
    "sealpipe dev production/checkout --fake-secrets -- pytest",
    "sealpipe dev dev/checkout --write .idea/sealpipe   # for a program that an IDE starts",
)
_ENV_FILE = "sealpipe.env"


@options.command("dev", examples=_EXAMPLES)
@options.target_argument(service="required")
@options.argument("program", nargs=-1, metavar="-- CMD…")
@options.option("--fake-secrets", is_flag=True, help="Make up the secrets that your key does not open.")
@options.option(
    "--write", "folder", metavar="DIR", help=f"Write {_ENV_FILE} there, for an IDE's run settings."
)
@options.common()
def command(
    opts: Common, *, target: Target, program: tuple[str, ...], fake_secrets: bool, folder: str | None
) -> int:
    """Start CMD with ENV/SERVICE's configuration from the files here, validated, signed and sealed anew.

    `<service>.local.yaml` beside the service's file is your own layer on top; git ignores it. Saved changes
    are checked and handed on while CMD runs; a program that watches takes them up. Your key opens the
    secrets and never reaches CMD. Without CMD, with --write, it serves until Ctrl-C.
    """
    from sealpipe.files import private_folder
    from sealpipe.serving.serve import Carrier, bootstrap_lines, child_environment, run_program

    if not program and folder is None:
        raise UsageError("usage", "a command is needed after --", hint=[_EXAMPLES[0]])
    unit = target.unit()
    with private_folder() as memory:
        carrier = Carrier(memory, unit)
        files = _Files(opts, opts.root(), unit, carrier, fake=fake_secrets)
        _tell(opts, files.take(), program)
        written = _write_env(folder, bootstrap_lines(carrier.bootstrap())) if folder else None
        if written:
            output.note(opts, f"wrote {written}: it works as long as this command runs")
        try:
            if not program:
                return _serve(files)
            environ = child_environment(os.environ, carrier.bootstrap())
            return run_program(program, environ, every=files.look)
        finally:
            if written:
                written.unlink(missing_ok=True)


class _Files:
    """The repository's side of a running `dev`: what was handed over last, and what was saved since."""

    def __init__(self, opts: Common, root: str, unit: Unit, carrier: Carrier, *, fake: bool) -> None:
        from sealpipe.serving.serve import watched

        self.opts, self.root, self.unit, self.carrier, self.fake = opts, root, unit, carrier, fake
        self._keys: dict[tuple[str, str], DocumentKeys] = {}
        self._seen = watched(root)
        self._last: Handed | None = None

    def take(self) -> Handed:
        from sealpipe.serving.handing import from_files
        from sealpipe.trees import WorkTree

        handed = from_files(WorkTree(self.root), self.unit, self._keys_of, fake=self.fake)
        if handed != self._last:
            self.carrier.write(handed)
            self._last = handed
        return handed

    def look(self) -> None:
        """Hand on what was saved; what is not valid is told and changes nothing."""
        from sealpipe.serving.serve import watched

        seen = watched(self.root)
        if seen == self._seen:
            return
        self._seen = seen
        before = self.carrier.number
        try:
            self.take()
        except SealpipeError as error:
            color = output.wants_color(None, sys.stderr)
            lines = output.error_lines(error, color=color, given_folder=self.opts.given_folder)
            print(*lines, "  still as it was before", sep="\n", file=sys.stderr)
            return
        if self.carrier.number != before:
            output.note(self.opts, f"{self.unit}: saved changes handed on")

    def _keys_of(self, workspace: Workspace, environment: str) -> DocumentKeys:
        # A key's command asks for a touch or a PIN: once for a keyring, not at every save.
        keyring = workspace.keyrings.get(environment)
        at = (environment, keyring.digest if keyring else "")
        if at not in self._keys:
            self._keys[at] = workspaces.maybe_keys(workspace, environment)
        return self._keys[at]


def _tell(opts: Common, handed: Handed, program: Sequence[str]) -> None:
    if handed.faked:
        output.note(opts, f"made up: {', '.join(handed.faked)}")
    started = f" → {program[0]}" if program else ""
    output.note(opts, f"{handed.unit} from {handed.label}{started}")


def _write_env(folder: str, text: str) -> Path:
    from sealpipe.files import write_atomic

    path = Path(folder) / _ENV_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode(), mode=0o600)
    return path


def _serve(files: _Files) -> int:
    while True:
        time.sleep(0.2)
        files.look()
