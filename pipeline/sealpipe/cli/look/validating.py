"""What `validate` does: hooks and editors run it on every save."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from sealpipe.cli import output
from sealpipe.frozen import NamedTuple

TYPE_CHECKING = False  # as in main.py
if TYPE_CHECKING:
    from sealpipe.flows.look import Checked
    from sealpipe.looking.verdicts import Verdict
    from sealpipe.model import Workspace
    from sealpipe.trust import Pin


class Asked(NamedTuple):
    """What was typed."""

    root: str
    environment: str = ""
    service: str = ""
    since: str = ""
    open: bool = False
    cached: bool = True
    format: str = "text"
    quiet: bool = False
    color: bool = False
    given_folder: str = ""


def run(asked: Asked) -> int:
    """Validate, print, and give the exit code."""
    started = time.monotonic()
    verdict = _verdict(asked)
    output.echo(_lines(asked, verdict, time.monotonic() - started))
    if not verdict.trusted:
        return 6
    return 0 if verdict.ok else 4


def _verdict(asked: Asked) -> Verdict:
    from sealpipe.looking.verdicts import judge, pinned, verdict_of
    from sealpipe.trees import WorkTree

    def pins(workspace: Workspace) -> Sequence[Pin]:
        return _pins(asked, workspace)

    tree, environment, service = WorkTree(asked.root), asked.environment, asked.service
    first_use = sys.stdin.isatty() and not pinned(os.environ)  # then the root has to be shown
    if asked.cached and not (asked.since or asked.open or first_use):
        return judge(tree, pins=pins, environ=os.environ, environment=environment, service=service)
    from sealpipe.flows.look import check

    checked = check(tree, pins=pins, environment=environment, service=service, since=asked.since)
    return verdict_of(_opened(checked) if asked.open else checked)


def _opened(checked: Checked) -> Checked:
    """The content of secrets too, as far as the person's key opens them. TrustError [no-key] without one."""
    from sealpipe.cli import workspaces
    from sealpipe.flows.look import check_opened

    workspaces.my_identity(checked.workspace)
    environments = checked.workspace.keyrings
    keys = {name: workspaces.maybe_keys(checked.workspace, name) for name in environments}
    return check_opened(checked, keys)


def _pins(asked: Asked, workspace: Workspace) -> Sequence[Pin]:
    """What is pinned; at first use on a terminal the root is shown and kept. Nothing elsewhere: a warning."""
    from sealpipe.pins import find_pins, need_pins

    trust = workspace.trust
    if trust is None:
        return ()
    if not sys.stdin.isatty():
        return find_pins(os.environ, trust.project)
    return need_pins(
        os.environ, trust, workspace.roots, terminal=True, say=lambda line: output.say(asked, line)
    )


def _lines(asked: Asked, verdict: Verdict, seconds: float) -> list[str]:
    if asked.format in ("github", "sarif"):
        from sealpipe import git
        from sealpipe.cli.render import github, sarif

        prefix = git.prefix(asked.root) if git.toplevel(asked.root) else ""
        draw = github.validation if asked.format == "github" else sarif.validation
        return draw(verdict, prefix=prefix)
    if asked.format in ("json", "markdown", "junit"):
        from sealpipe.cli.render import json_, junit, markdown

        drawn = {"json": json_.validation, "markdown": markdown.validation, "junit": junit.validation}
        return drawn[asked.format](verdict)
    from sealpipe.cli.render import text

    lines = text.validation(verdict, seconds=seconds, color=asked.color, given_folder=asked.given_folder)
    return [] if asked.quiet and not verdict.findings else lines
