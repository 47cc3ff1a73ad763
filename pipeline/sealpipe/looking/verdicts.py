"""What `validate` said of exactly these files, kept so that saying it again costs only their hashes.

A verdict is looked up by a digest over everything that it was made of: the program and its libraries, the
target, every file's content and every name, the state of git, the pins. It is kept in the user's cache
folder and never in a repository, where a pull request could bring one along; `plan` and `publish` do not
know this module. An entry that is not whole, not ours or not for this digest is as good as none.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence

from sealpipe import caches
from sealpipe.canonical import blake2b
from sealpipe.errors import Finding, InputError, Where
from sealpipe.frozen import NamedTuple
from sealpipe.homes import pins_path
from sealpipe.refs import refs
from sealpipe.trees import PROJECT_FILE, RUNNING, Seen, WorkTree
from sealpipe.version import VERSION

TYPE_CHECKING = False  # as in frozen.py: what is asked on every save starts without what it does not need
if TYPE_CHECKING:
    from typing import Any

    from sealpipe.flows.look import Checked, PinsOf

FORMAT = "sealpipe.verdict.2"
KIND = "verdicts"
_ELIDED = ": …"
Environ = Mapping[str, str]


class Verdict(NamedTuple):
    """What a validation came to. `cached`: how many of its documents were not looked at again."""

    documents: int
    environments: int
    units: Mapping[str, bool]  # whether each is valid
    findings: tuple[Finding, ...]
    trusted: bool
    cached: int = 0

    @property
    def ok(self) -> bool:
        return not any(finding.severity == "error" for finding in self.findings)


def verdict_of(checked: Checked) -> Verdict:
    """What a validation that was really made came to."""
    done = checked.validation
    units = {str(unit): unit in done.configs for unit in checked.units}
    return Verdict(done.documents, done.environments, units, checked.findings, checked.trusted)


def judge(
    tree: WorkTree, *, pins: PinsOf, environ: Environ, environment: str = "", service: str = ""
) -> Verdict:
    """As `flows.look.check`, unless the verdict on exactly these files is known: then that one.

    For who reads it; nothing that writes or publishes may act on it. Raises as `check` does.
    """
    target = f"{environment}/{service}"
    kept = _entry(tree.root, target, environ)
    if kept is not None and not kept.shows:
        # No line of a file is shown, so none of them need be held.
        known = _known(kept, fingerprint(tree, target, environ), tree)
        if known is not None:
            return known
    seen = Seen(tree)
    key = fingerprint(seen, target, environ)
    known = _known(kept, key, seen)
    if known is not None:
        return known
    from sealpipe.flows.look import check

    verdict = verdict_of(check(seen, pins=pins, environment=environment, service=service))
    # git, pins and files under trust/ are read anew on the way: they must be what the key says to the end.
    if fingerprint(WorkTree(tree.root), target, environ) == key:
        keep(verdict, seen, target, key, environ)
    return verdict


# ---- the digest


def fingerprint(tree: Seen | WorkTree, target: str, environ: Environ) -> str:
    """Hex of a digest over everything that a verdict on `target` ("" for all) depends on."""
    made = blake2b(digest_size=32)
    day = time.strftime("%Y-%m-%d", time.gmtime())  # what a schema removes after a date is an error then
    for text in (FORMAT, VERSION, sys.version, tree.root, target, day):
        _enter(made, text.encode("utf-8", "surrogateescape"))
    _enter(made, b"\0".join(caches.program()))
    _enter(made, outside(tree.root, environ))
    _enter_contents(made, tree)
    return made.hexdigest()


def _enter(made: Any, part: bytes) -> None:
    made.update(b"%d:" % len(part))
    made.update(part)


def outside(root: str, environ: Environ) -> bytes:
    """What a verdict on trust depends on beside the files: every ref of git, where its history ends, pins."""
    pins = environ.get("SEALPIPE_TRUST", "").strip().encode()
    if not pins:
        with contextlib.suppress(OSError), open(pins_path(environ), "rb") as file:
            pins = file.read()
    return b"\0".join([*refs(root), pins])


def pinned(environ: Environ) -> bool:
    """Whether there are pins at all."""
    return bool(environ.get("SEALPIPE_TRUST", "").strip()) or os.path.exists(pins_path(environ))


def _enter_contents(made: Any, tree: Seen | WorkTree) -> None:
    """Every path that a validation can come across: the names in each folder, then what its files are."""
    _enter_files(made, tree, "", [PROJECT_FILE])
    for top in ("trust", "schemas", "environments"):
        names = _entered_names(made, tree, top)
        _enter_files(made, tree, top, [name for name in names if not name.endswith("/")])
        for name in names if top == "environments" else ():
            if name.endswith("/"):
                below = _entered_names(made, tree, f"{top}/{name[:-1]}")
                # Of everything else only the name is ever looked at.
                _enter_files(made, tree, f"{top}/{name[:-1]}", [n for n in below if n.endswith(".yaml")])
    for name in _entered_names(made, tree, RUNNING):
        if name.endswith("/"):
            folder = f"{RUNNING}/{name[:-1]}"
            _enter_files(made, tree, folder, _entered_names(made, tree, folder))


def _entered_names(made: Any, tree: Seen | WorkTree, folder: str) -> list[str]:
    try:
        names = tree.list(folder)
    except InputError as error:
        names = [f"/{error.word}"]  # no name begins so
    _enter(made, "\0".join(names).encode("utf-8", "surrogateescape"))
    return names


def _enter_files(made: Any, tree: Seen | WorkTree, folder: str, names: Sequence[str]) -> None:
    """Contents in the order of names that were entered before."""
    for content in tree.read_each(folder, names):
        if isinstance(content, bytes):
            made.update(b"%d:" % len(content))
            made.update(content)
        else:  # no length
            made.update(b"-")
            _enter(made, repr(content and content.findings).encode("utf-8", "backslashreplace"))


# ---- the entry


class _Entry(NamedTuple):
    """What is kept for a repository and target: whole, and for some digest."""

    head: bytes
    body: bytes
    plain: Any
    shows: bool  # lines of files, in findings


def _entry(root: str, target: str, environ: Environ) -> _Entry | None:
    """None where there is none, or one that is not ours, cut short or of another shape."""
    file = caches.place(KIND, root, target, environ)
    entry = caches.read(file) if file else None
    if entry is None:
        return None
    head, body = entry
    try:
        plain = json.loads(body)
        return _Entry(head, body, plain, any(source for *_, source in plain["findings"]))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None


def _known(kept: _Entry | None, key: str, tree: Seen | WorkTree) -> Verdict | None:
    """The verdict that was kept under this digest, its source lines read anew; None for anything else."""
    if kept is None or kept.head != caches.head(FORMAT, key, kept.body):
        return None
    try:
        return _verdict(kept.plain, tree)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, InputError):
        return None


def keep(verdict: Verdict, tree: Seen, target: str, key: str, environ: Environ) -> None:
    """Keep a verdict for the same digest. Quietly keeps none where that cannot be done well."""
    file = caches.place(KIND, tree.root, target, environ)
    plain = {
        "documents": verdict.documents,
        "environments": verdict.environments,
        "units": dict(verdict.units),
        "trusted": verdict.trusted,
        "findings": [_plain(finding, tree) for finding in verdict.findings],
    }
    if file is not None and _verdict(plain, tree)._replace(cached=0) == verdict:
        body = json.dumps(plain, separators=(",", ":")).encode()
        caches.write(file, caches.head(FORMAT, key, body), body)


# ---- findings as plain data: what a line of a file says is never among it


def _plain(finding: Finding, tree: Seen) -> list[Any]:
    source = []
    if finding.source and finding.where:
        lines = finding.source.split("\n")
        for number, line in enumerate(lines, finding.where.line - len(lines) + 1):
            whole = _line(tree, finding.where.file, number)
            cut = not whole.startswith(line)
            source.append([number, len(line) - len(_ELIDED) * cut, cut])
    where = list(finding.where) if finding.where else None
    return [*finding._replace(source="", where=None), where, source]


def _verdict(plain: Mapping[str, Any], tree: Seen | WorkTree) -> Verdict:
    """Raises for data of any other shape."""
    documents, environments, trusted = plain["documents"], plain["environments"], plain["trusted"]
    units = {str(unit): _is(bool, valid) for unit, valid in plain["units"].items()}
    findings = tuple(_finding(one, tree) for one in plain["findings"])
    counted = _is(int, documents)
    return Verdict(counted, _is(int, environments), units, findings, _is(bool, trusted), cached=counted)


def _finding(plain: Any, tree: Seen | WorkTree) -> Finding:
    *fields, where, source = _is(list, plain)
    made = Finding._make(fields)
    place = Where(_is(str, where[0]), _is(int, where[1]), _is(int, where[2])) if where is not None else None
    shown = []
    for number, width, cut in source:
        whole = _line(tree, place.file if place else "", _is(int, number))
        shown.append(whole[: _is(int, width)] + (_ELIDED if _is(bool, cut) else ""))
    for text in (made.word, made.what, made.path, *made.why, *made.hint):
        _is(str, text)
    if made.severity not in ("error", "warning"):
        raise ValueError("no severity")
    return made._replace(
        where=place,
        why=tuple(made.why),
        hint=tuple(made.hint),
        source="\n".join(shown),
        width=_is(int, made.width),
        reach=_is(int, made.reach),
    )


def _line(tree: Seen | WorkTree, file: str, number: int) -> str:
    lines = (tree.read(file) or b"").decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[number - 1] if 0 < number <= len(lines) else ""


def _is(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError("not what is kept here")
    return value
