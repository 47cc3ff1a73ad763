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
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

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
KEPT_DAYS = 30
_SIZE_LIMIT = 4 * 1024 * 1024
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
    _enter(made, b"\0".join(_program()))
    _enter(made, outside(tree.root, environ))
    _enter_contents(made, tree)
    return made.hexdigest()


def _enter(made: Any, part: bytes) -> None:
    made.update(b"%d:" % len(part))
    made.update(part)


def _program() -> Iterator[bytes]:
    """This package's files by size and time, and the names of what is installed, which hold versions."""
    folders = [os.path.dirname(os.path.dirname(__file__))]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.endswith(".py"):
                    found = entry.stat()
                    yield f"{entry.path} {found.st_size} {found.st_mtime_ns}".encode()
                elif entry.name != "__pycache__" and entry.is_dir():
                    folders.append(entry.path)
    for folder in sys.path:
        with contextlib.suppress(OSError):
            yield " ".join(sorted(n for n in os.listdir(folder) if n.endswith(".dist-info"))).encode()


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
    file = _file(root, target, environ)
    data = _read(file) if file else None
    if data is None:
        return None
    head, _, body = data.partition(b"\n")
    try:
        plain = json.loads(body)
        return _Entry(head, body, plain, any(source for *_, source in plain["findings"]))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None


def _known(kept: _Entry | None, key: str, tree: Seen | WorkTree) -> Verdict | None:
    """The verdict that was kept under this digest, its source lines read anew; None for anything else."""
    if kept is None or kept.head != _head(key, kept.body):
        return None
    try:
        return _verdict(kept.plain, tree)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, InputError):
        return None


def keep(verdict: Verdict, tree: Seen, target: str, key: str, environ: Environ) -> None:
    """Keep a verdict for the same digest. Quietly keeps none where that cannot be done well."""
    file = _file(tree.root, target, environ)
    plain = {
        "documents": verdict.documents,
        "environments": verdict.environments,
        "units": dict(verdict.units),
        "trusted": verdict.trusted,
        "findings": [_plain(finding, tree) for finding in verdict.findings],
    }
    body = json.dumps(plain, separators=(",", ":")).encode()
    if file is None or len(body) > _SIZE_LIMIT // 2 or _verdict(plain, tree)._replace(cached=0) != verdict:
        return
    from sealpipe.files import write_atomic

    with contextlib.suppress(OSError):
        write_atomic(file, _head(key, body) + b"\n" + body, mode=0o600)
        _sweep(os.path.dirname(file))


def _head(key: str, body: bytes) -> bytes:
    return f"{FORMAT} {key} {digest(body)}".encode()


def digest(data: bytes) -> str:
    """Hex."""
    return str(blake2b(data, digest_size=32).hexdigest())


def _file(root: str, target: str, environ: Environ) -> str | None:
    """Where the entry of a repository and target is; None where no folder is ours alone."""
    home = environ.get("XDG_CACHE_HOME", "")
    if not home.startswith("/"):
        home = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")
    folder = os.path.join(home, "sealpipe", "verdicts")
    try:
        if not os.path.isdir(folder):
            os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
            os.mkdir(folder, mode=0o700)
        found = os.lstat(folder)
        inside = f"{os.path.realpath(folder)}/".startswith(f"{root.rstrip('/')}/")
    except OSError:
        return None
    if inside or not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        return None
    name = digest(f"{root}\0{target}".encode("utf-8", "surrogateescape"))
    return os.path.join(folder, f"{name[:32]}.json")


def _read(file: str) -> bytes | None:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            return None
        return opened.read(_SIZE_LIMIT)


def _sweep(folder: str) -> None:
    """Remove what nobody has renewed for a month: repositories come and go."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.stat(follow_symlinks=False).st_mtime < time.time() - KEPT_DAYS * 86400:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(entry.path)


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
