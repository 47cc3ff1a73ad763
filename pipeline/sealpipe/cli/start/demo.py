"""`sealpipe demo`: the tour, played and told."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sealpipe.cli import options, output
from sealpipe.cli.options import Common
from sealpipe.errors import RefusedError
from sealpipe.frozen import NamedTuple

if TYPE_CHECKING:
    from sealpipe.cli.start.tour import Chapter, Played, Stage

_EXAMPLES = (
    "sealpipe demo",
    "sealpipe demo --keep",
    "sealpipe demo /tmp/look --fast",
    "sealpipe demo --store consul://127.0.0.1:8500/try",
)
_SHOWN = 16  # lines of one command's output
_PAUSE = 0.6  # seconds a chapter stands before the next one


class _Told(NamedTuple):
    """What became of the tour."""

    chapters: int
    passed: int
    releases: int
    seconds: float


@options.command("demo", examples=_EXAMPLES)
@options.argument("folder", required=False, metavar="[DIR]")
@options.option("--keep", is_flag=True, help="Leave everything there to look at.")
@options.option("--fast", is_flag=True, help="Do not pause between chapters.")
@options.option("--store", "url", metavar="URL", default="", help="Publish there, below a prefix of its own.")
@options.common()
def command(opts: Common, folder: str | None, keep: bool, fast: bool, url: str) -> int:
    """A tour in a temporary folder: publish, load, roll back, tamper.

    Runs the real commands, shows each one and what it gave, and checks it. No server, no account, no
    network; your own keys and settings are not touched. With --store the releases go to that store, and
    out of it again at the end (not with --keep). Ends with 1 when anything goes differently.
    """
    from sealpipe.cli.start.tour import chapters, own_place, prepare

    keep = keep or folder is not None
    where = _checked(own_place(url)) if url else ""
    place = _place(folder)
    left = ""
    try:
        stage = prepare(place)
        script = chapters(where)
        told = _tell(opts, stage, script, pause=0.0 if fast or not sys.stdout.isatty() else _PAUSE)
        if where:
            left = "kept" if keep else _emptied(where, str(stage.repository))
        output.echo(_last_screen(stage, told, keep=keep, color=opts.color, where=where, left=left))
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)
    return 0 if told.passed == told.chapters else 1


def _checked(where: str) -> str:
    """The URL, once a store was opened by it. Raises UsageError, UnsupportedError; contacts nothing."""
    from sealpipe.errors import UsageError
    from sealpipe.stores.registry import open_store, scheme_of

    if scheme_of(where) == "file":
        where = f"file:{Path(where.removeprefix('file:')).resolve()}"
    if re.search(r"[\s'\"|]", where):
        raise UsageError("bad-store-url", "a store URL for the demo has no quotes, spaces or bars")
    open_store(where, base=".")[0].close()
    return where


def _emptied(where: str, base: str) -> str:
    """Take everything out of our own place; why it is still there, "" when it is gone."""
    from sealpipe.errors import SealpipeError
    from sealpipe.stores.base import Delete
    from sealpipe.stores.registry import open_store, scheme_of

    try:
        store, prefix = open_store(where, base=base)
        try:
            for key in store.keys(prefix):
                store.write([Delete(key)])
        finally:
            store.close()
    except SealpipeError as error:
        return error.finding.what
    if scheme_of(where) == "file":
        shutil.rmtree(where.removeprefix("file:"), ignore_errors=True)
    return ""


def _place(folder: str | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="sealpipe-demo-"))
    place = Path(folder).resolve()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise RefusedError("exists", f"{folder} is not an empty folder", hint=["sealpipe demo --keep"])
    place.mkdir(parents=True, exist_ok=True)
    return place


def _tell(opts: Common, stage: Stage, script: Sequence[Chapter], *, pause: float) -> _Told:
    """Play all chapters, or those up to the first that goes differently."""
    from sealpipe.cli.start.tour import play

    began = time.monotonic()
    passed = releases = 0
    for number, chapter in enumerate(script, start=1):
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
    return _Told(len(script), passed, releases, time.monotonic() - began)


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


def _left(where: str, left: str) -> list[str]:
    """What became of the keys in a store that was named."""
    if not where:
        return []
    if not left:
        return [f"  the releases were in {where}, which is empty again"]
    why = "" if left == "kept" else f" ({left})"
    return [f"  the releases are still in {where}{why}"]


def _last_screen(stage: Stage, told: _Told, *, keep: bool, color: bool, where: str, left: str) -> list[str]:
    good = told.passed == told.chapters
    mark = output.paint("✓", "green", color) if good else output.paint("✗", "red", color)
    kept = f"everything is in {stage.folder}" if keep else "in a folder that is gone again"
    without = "" if where else " (no server, no account, no network)"
    lines = [f"  {mark} {told.passed} of {told.chapters} · {told.seconds:.1f} s · {kept}{without}"]
    lines += [output.clean(line) for line in _left(where, left)]
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
