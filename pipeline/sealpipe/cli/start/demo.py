"""`sealpipe demo`: the tour, played and told."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from sealpipe.cli import options, output
from sealpipe.cli.options import Common
from sealpipe.errors import RefusedError

if TYPE_CHECKING:
    from sealpipe.flows.tour import Played, Stage

_EXAMPLES = ("sealpipe demo", "sealpipe demo --keep", "sealpipe demo /tmp/look --fast")
_SHOWN = 16  # lines of one command's output
_PAUSE = 0.6  # seconds a chapter stands before the next one


class _Told(NamedTuple):
    """What became of the tour."""

    chapters: int
    passed: int
    releases: int
    seconds: float


@options.command("demo", examples=_EXAMPLES)
@click.argument("folder", required=False, metavar="[DIR]")
@click.option("--keep", is_flag=True, help="Leave everything there to look at.")
@click.option("--fast", is_flag=True, help="Do not pause between chapters.")
@options.common()
def command(opts: Common, folder: str | None, keep: bool, fast: bool) -> int:
    """A tour in a temporary folder: publish, load, roll back, tamper.

    Runs the real commands, shows each one and what it gave, and checks it. No server, no account, no
    network; your own keys and settings are not touched. Ends with 1 when anything goes differently.
    """
    from sealpipe.flows.tour import prepare

    keep = keep or folder is not None
    place = _place(folder)
    try:
        stage = prepare(place)
        told = _tell(opts, stage, pause=0.0 if fast or not sys.stdout.isatty() else _PAUSE)
        output.echo(_last_screen(stage, told, keep=keep, color=opts.color))
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)
    return 0 if told.passed == told.chapters else 1


def _place(folder: str | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="sealpipe-demo-"))
    place = Path(folder).resolve()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise RefusedError("exists", f"{folder} is not an empty folder", hint=["sealpipe demo --keep"])
    place.mkdir(parents=True, exist_ok=True)
    return place


def _tell(opts: Common, stage: Stage, *, pause: float) -> _Told:
    """Play all chapters, or those up to the first that goes differently."""
    from sealpipe.flows.tour import CHAPTERS, play

    began = time.monotonic()
    passed = releases = 0
    for number, chapter in enumerate(CHAPTERS, start=1):
        output.echo(output.paint(f"{number:>3}  {chapter.title}", "bold", opts.color))
        good = True
        for played in play(chapter, stage):
            output.echo(_lines(played, color=opts.color))
            good = good and not played.difference
            releases = max([releases, *map(int, re.findall(r"published +checkout #(\d+)", played.output))])
        output.echo("")
        passed += good
        if not good:
            break
        time.sleep(pause)
    return _Told(len(CHAPTERS), passed, releases, time.monotonic() - began)


def _lines(played: Played, *, color: bool) -> list[str]:
    shown = [f"     {output.paint(f'$ {played.command.shown}', 'cyan', color)}"]
    lines = [output.clean(line) for line in played.output.rstrip("\n").split("\n") if played.output.strip()]
    shown += [f"     {line}".rstrip() for line in lines[:_SHOWN]]
    if len(lines) > _SHOWN:
        shown.append(f"     … {len(lines) - _SHOWN} more lines")
    if played.difference:
        shown.append(output.paint(f"     ✗ this went differently: {played.difference}", "red", color))
    elif played.code:
        shown.append(output.paint(f"     (exit {played.code}, as it should)", "dim", color))
    return shown


def _last_screen(stage: Stage, told: _Told, *, keep: bool, color: bool) -> list[str]:
    good = told.passed == told.chapters
    mark = output.paint("✓", "green", color) if good else output.paint("✗", "red", color)
    kept = f"everything is in {stage.folder}" if keep else "in a folder that is gone again"
    lines = [
        f"  {mark} {told.passed} of {told.chapters} · {told.seconds:.1f} s · {kept}"
        " (no server, no account, no network)"
    ]
    if not good:
        return [*lines, "", "  please report it: https://github.com/sealpipe/sealpipe/issues"]
    documents = sum(1 for _ in (stage.repository / "environments").rglob("*.yaml"))
    schemas = sum(1 for _ in (stage.repository / "schemas").glob("*.json"))
    lines += [
        "",
        "  What you just saw   a changed value reached a service at its next start, its secret opened there",
        "                      a wrong type was refused before it was published",
        "                      a rollback was one command, and the bad value could not come back by itself",
        "                      an edited store and a copied secret were found; no password lay in clear",
        f"  What it made        2 keys (yours, the service's), {documents} YAML files, {schemas} schemas,"
        f" releases #1 to #{told.releases}",
        "",
        "  Your turn           sealpipe init             a repository of your own",
    ]
    if keep:
        lines.append(f"  The service         cat {stage.folder / 'service.py'}")
    else:
        lines.append("  To look at it all   sealpipe demo --keep")
    return lines
