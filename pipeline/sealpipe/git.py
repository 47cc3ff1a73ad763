"""The only place that runs git. Reads repositories; nothing here changes one.

Paths given and returned are relative to `folder`, with forward slashes. Everything raises
SealpipeError[git] when git fails in a way that is not an answer.
"""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Iterator, Sequence

from sealpipe.errors import SealpipeError, UsageError
from sealpipe.frozen import NamedTuple

TYPE_CHECKING = False  # as in frozen.py
if TYPE_CHECKING:
    import subprocess

_TIMEOUT = 120.0
_NO_GIT = "git was not found on PATH"
_KEPT = ("GIT_SSH", "GIT_CONFIG_", "GIT_SSL_", "GIT_CEILING_")
_OPTIONS = ("--no-pager", "--no-optional-locks", "-c", "core.quotePath=false", "-c", "core.fsmonitor=false")


class Head(NamedTuple):
    """Where a working copy stands; all empty outside git and before the first commit."""

    commit: str = ""
    tree: str = ""
    branch: str = ""  # "" when detached
    dirty: bool = False


class BlameLine(NamedTuple):
    """Who last changed a line; `commit` is "" while the change is not committed."""

    commit: str
    author: str
    when: str  # "2 days ago"
    summary: str


def run(args: Sequence[str], *, cwd: str | os.PathLike[str], input: bytes | None = None) -> bytes:  # noqa: A002
    """What `git ARGS` prints. Raises SealpipeError[git] with git's own message when it fails."""
    code, out, problem = _try(args, cwd, input)
    if code != 0:
        raise _failed(args, code, problem)
    return out


def _try(
    args: Sequence[str], cwd: str | os.PathLike[str], data: bytes | None = None
) -> tuple[int, bytes, str]:
    import subprocess

    problem = ""
    try:
        done = subprocess.run(
            ["git", *_OPTIONS, *args],
            cwd=cwd,
            env=clean_environment(),
            input=b"" if data is None else data,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        problem = _NO_GIT if os.path.isdir(cwd) else f"there is no folder {os.fspath(cwd)}"
    except subprocess.TimeoutExpired:
        problem = f"git {args[0]} did not end within {_TIMEOUT:.0f} s"
    if problem:
        raise SealpipeError("git", problem)
    return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace").strip()


def _failed(args: Sequence[str], code: int, problem: str) -> SealpipeError:
    lines = [line for line in problem.splitlines() if line.strip()] or [f"it ended with {code}"]
    hint = [line.strip() for line in lines if line.strip().startswith("git config")]
    what = f"git {args[0]} failed: {lines[0].removeprefix('fatal: ')}"
    return SealpipeError("git", what, why=lines[1:], hint=hint)


def clean_environment() -> dict[str, str]:
    """The environment git runs in: no prompts, plain messages, and none of what hooks leave behind."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_KEPT)
    }
    kept.update(LC_ALL="C", GIT_TERMINAL_PROMPT="0", GIT_OPTIONAL_LOCKS="0", GIT_NO_REPLACE_OBJECTS="1")
    return kept


def check_ref(ref: str) -> str:
    """The same ref. Raises UsageError for one that git would read as an option or as several arguments."""
    if not ref or ref.startswith("-") or re.search(r"[\s\x00-\x1f:]", ref):
        raise UsageError("bad-ref", "this is not the name of a commit, branch or tag")
    return ref


def toplevel(folder: str | os.PathLike[str]) -> str | None:
    """The root of the working copy that holds `folder`; None outside git and where git is not installed."""
    try:
        code, out, problem = _try(["rev-parse", "--show-toplevel"], folder)
    except SealpipeError as error:
        if error.finding.what == _NO_GIT:
            return None
        raise
    if code == 0:
        return os.fsdecode(out).rstrip("\n") or None
    if "not a git repository" in problem or "must be run in a work tree" in problem:
        return None
    raise _failed(["rev-parse"], code, problem)


def head(folder: str | os.PathLike[str]) -> Head:
    """Commit, tree, branch and whether anything in `folder` differs from them, untracked files included.

    Files that git ignores do not count: see `ignored_files`.
    """
    args = ["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal", "--", "."]
    try:
        code, out, _ = _try(args, folder)
    except SealpipeError as error:
        if error.finding.what != _NO_GIT:
            raise
        return Head()
    if code != 0:
        if toplevel(folder) is None:
            return Head()
        run(args, cwd=folder)
    commit = branch = ""
    dirty = False
    for line in _names(out):
        if line.startswith("# branch.oid "):
            commit = line.split(" ")[2]
        elif line.startswith("# branch.head "):
            branch = line.split(" ", 2)[2]
        elif not line.startswith("# "):
            dirty = True
    branch = "" if branch == "(detached)" else branch
    if commit == "(initial)":
        return Head(branch=branch, dirty=dirty)
    return Head(commit, _text(["rev-parse", f"{commit}^{{tree}}"], folder) or "", branch, dirty)


def _text(args: Sequence[str], folder: str | os.PathLike[str]) -> str | None:
    code, out, _ = _try(args, folder)
    return out.decode("utf-8", "replace").strip() if code == 0 else None


def resolve(folder: str | os.PathLike[str], ref: str) -> str | None:
    """The full name of the commit that `ref` means, or None where there is none."""
    return _text(["rev-parse", "--verify", "--quiet", check_ref(ref) + "^{commit}"], folder) or None


def is_dirty(folder: str | os.PathLike[str]) -> bool:
    """Whether tracked files under `folder` changed or untracked, not ignored ones are there."""
    return bool(run(["status", "--porcelain", "-z", "--untracked-files=normal", "--", "."], cwd=folder))


def ignored_files(folder: str | os.PathLike[str], paths: Sequence[str]) -> list[str]:
    """Files under `paths` that exist, are not tracked, and are hidden from `is_dirty` by an ignore rule."""
    args = ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", *paths]
    return _names(run(args, cwd=folder))


def _names(out: bytes) -> list[str]:
    return [os.fsdecode(name) for name in out.split(b"\0") if name]


def is_shallow(folder: str | os.PathLike[str]) -> bool:
    return _text(["rev-parse", "--is-shallow-repository"], folder) == "true"


def is_ancestor(folder: str | os.PathLike[str], older: str, newer: str) -> bool | None:
    """Whether `newer` contains `older`. None when this clone cannot tell: unknown commit, cut history."""
    args = ["merge-base", "--is-ancestor", check_ref(older), check_ref(newer)]
    code, _, _ = _try(args, folder)
    if code == 0:
        return True
    if code == 1:
        return None if is_shallow(folder) else False
    return None


def merge_base(folder: str | os.PathLike[str], one: str, other: str) -> str | None:
    """The best common ancestor, or None where the clone knows none."""
    return _text(["merge-base", check_ref(one), check_ref(other)], folder) or None


def is_pushed(folder: str | os.PathLike[str], commit: str, branch: str) -> bool:
    """Whether the remote's `branch`, as last fetched or pushed, contains `commit`. Asks no server.

    The remote is the branch's own, else `origin`, else the only one there is.
    """
    remotes = (_text(["remote"], folder) or "").split()
    own = _text(["config", "--get", f"branch.{check_ref(branch)}.remote"], folder)
    if own in remotes:
        remotes = [str(own)]
    elif "origin" in remotes:
        remotes = ["origin"]
    if len(remotes) != 1:
        return False
    return is_ancestor(folder, commit, f"refs/remotes/{remotes[0]}/{branch}") is True


def file_at(folder: str | os.PathLike[str], ref: str, path: str) -> bytes | None:
    """A file's content in a commit, or None when the commit, or the file in it, does not exist."""
    name = f"{check_ref(ref)}:./{path}"
    code, out, _ = _try(["cat-file", "blob", name], folder)
    return out if code == 0 else None


def log_of_line(folder: str | os.PathLike[str], file: str, line: int) -> BlameLine | None:
    """Who last changed a line of the working copy's file; None outside git or for an untracked file."""
    args = ["blame", "--porcelain", "-L", f"{line},{line}", "--", file]
    code, out, _ = _try(args, folder)
    if code != 0:
        return None
    fields: dict[str, str] = {}
    lines = out.decode("utf-8", "replace").splitlines()
    for text in lines[1:]:
        if text.startswith("\t"):
            break
        name, _, value = text.partition(" ")
        fields[name] = value
    commit = lines[0].split(" ")[0]
    if not commit.strip("0"):
        return BlameLine("", "you", "not committed", "")
    when = relative_time(int(fields.get("author-time", "0")), time.time())
    return BlameLine(commit, fields.get("author", ""), when, fields.get("summary", ""))


def relative_time(then: float, now: float) -> str:
    """`2 days ago`, in the largest unit that gives two or more, as git writes it."""
    passed = max(0, int(now - then))
    for unit, size in (("year", 31_557_600), ("month", 2_629_800), ("week", 604_800), ("day", 86_400)):
        if passed >= 2 * size:
            return f"{passed // size} {unit}s ago"
    for unit, size in (("hour", 3600), ("minute", 60)):
        if passed >= 2 * size:
            return f"{passed // size} {unit}s ago"
    return f"{passed} second{'' if passed == 1 else 's'} ago"


def changed_files(folder: str | os.PathLike[str], since: str) -> list[str]:
    """Files under `folder` that differ between commit `since` and the working copy, new ones included."""
    if resolve(folder, since) is None:
        raise SealpipeError("git", "git does not know the commit to compare with", hint=["git fetch --all"])
    args = ["diff", "--name-only", "--no-renames", "-z", "--relative", since, "--", "."]
    changed = run(args, cwd=folder)
    new = run(["ls-files", "--others", "--exclude-standard", "-z", "--", "."], cwd=folder)
    return sorted({*_names(changed), *_names(new)})


def commits_touching(folder: str | os.PathLike[str], refs: Sequence[str], path: str) -> list[str]:
    """Commits reachable from `refs` that change `path`, newest first, side branches included.

    Refs that do not exist are left out. A shallow clone knows only its part.
    """
    known = [ref for ref in refs if resolve(folder, ref) is not None]
    if not known:
        return []
    out = run(["rev-list", "--full-history", *known, "--", path], cwd=folder)
    return out.decode("ascii").split()


def versions_of(folder: str | os.PathLike[str], refs: Sequence[str], path: str) -> Iterator[bytes]:
    """Every distinct content that `path` ever had in the history of `refs`, newest first."""
    yield from histories(folder, refs, path).get(path, ())


def histories(folder: str | os.PathLike[str], refs: Sequence[str], path: str) -> dict[str, list[bytes]]:
    """For each file at or below `path`, every distinct content in the history of `refs`, newest first."""
    known = [ref for ref in refs if resolve(folder, ref) is not None]
    if not known:
        return {}
    args = ["-c", "log.showRoot=true", "log", "--format=", "--raw", "--no-abbrev", "-m", "--full-history"]
    out = run([*args, "--relative", "--no-renames", *known, "--", path], cwd=folder)
    found: dict[str, dict[str, None]] = {}
    for line in out.decode("utf-8", "replace").splitlines():
        described, _, file = line.partition("\t")
        parts = described.split(" ")
        if len(parts) < 5 or not line.startswith(":"):
            continue
        for mode, name in ((parts[1], parts[3]), (parts[0][1:], parts[2])):
            if mode.startswith("100"):
                found.setdefault(file, {})[name] = None
    contents = _blobs(folder, {name for names in found.values() for name in names})
    return {file: [contents[name] for name in names if name in contents] for file, names in found.items()}


def _blobs(folder: str | os.PathLike[str], names: set[str]) -> dict[str, bytes]:
    """Contents by object name, read by one process; what a partial clone lacks is left out."""
    out = run(["cat-file", "--batch"], cwd=folder, input="".join(f"{n}\n" for n in sorted(names)).encode())
    found = {}
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        header = out[at:end].split(b" ")
        at = end + 1
        if len(header) == 3:
            size = int(header[2])
            found[header[0].decode("ascii")] = out[at : at + size]
            at += size + 1
    return found


def hooks_folder(folder: str | os.PathLike[str]) -> str | None:
    """Where this repository's hooks live (`core.hooksPath` is honoured), absolute; None outside git."""
    if toplevel(folder) is None:
        return None
    out = os.fsdecode(run(["rev-parse", "--git-path", "hooks"], cwd=folder)).rstrip("\n")
    return os.path.realpath(os.path.join(folder, out))


def prefix(folder: str | os.PathLike[str]) -> str:
    """`folder` relative to the root of its working copy: "" or `config/`."""
    return os.fsdecode(run(["rev-parse", "--show-prefix"], cwd=folder)).rstrip("\n")


def user_name(folder: str | os.PathLike[str]) -> str:
    """The name that git was told to write into commits, or "": never one that git guesses."""
    told = os.environ.get("GIT_AUTHOR_NAME", "").strip()
    return told or _text(["config", "author.name"], folder) or _text(["config", "user.name"], folder) or ""


@functools.cache
def version() -> tuple[int, ...]:
    """git's version, () where it is not installed."""
    try:
        code, out, _ = _try(["version"], ".")
    except SealpipeError:
        return ()
    found = re.search(rb"(\d+)\.(\d+)(?:\.(\d+))?", out)
    return tuple(int(part) for part in found.groups(b"0")) if code == 0 and found else ()


def start(args: Sequence[str], *, cwd: str | os.PathLike[str]) -> subprocess.Popen[bytes]:
    """A running git with pipes, for `cat-file --batch`. Who starts it ends it, by closing its input."""
    import subprocess

    return subprocess.Popen(
        ["git", *_OPTIONS, *args],
        cwd=cwd,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def refs(folder: str | os.PathLike[str]) -> list[bytes]:
    """Everything that git's answers about history depend on: HEAD, every ref, and where history is cut.

    All empty outside git. Two equal answers mean that `histories`, `merge_base` and `resolve` answer alike.
    """
    try:
        known = _text(["rev-parse", "--git-path", "shallow", "--git-path", "info/grafts"], folder)
    except SealpipeError as error:
        if error.finding.what != _NO_GIT:
            raise
        known = None
    if known is None:
        return []
    cut = [os.path.join(folder, name) for name in known.splitlines()]
    _, listed, _ = _try(["show-ref", "--head"], folder)
    return [listed, *(content_of(path) for path in cut)]


def content_of(path: str) -> bytes:
    """A file's bytes, b"" where there is none."""
    if not os.path.isfile(path):
        return b""
    with open(path, "rb") as file:
        return file.read()
