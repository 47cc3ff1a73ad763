"""The only file reads of the pipeline: a working copy or a commit, seen the same way.

Both refuse symlinks (git keeps only the name a link points to, so the two would read different things),
whatever is not a plain file, and files over the limit.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

from sealpipe.errors import Finding, InputError, SealpipeError, UsageError, Where
from sealpipe.frozen import NamedTuple

TYPE_CHECKING = False  # as in frozen.py
if TYPE_CHECKING:
    import subprocess
    from typing import IO, Protocol, TypeVar

    from sealpipe.git import Head

    T = TypeVar("T")
else:
    Protocol = object

PROJECT_FILE = "sealpipe.yaml"
JOURNAL = ".sealpipe/edit.journal"  # of a command that was writing: `editing.writing`
RUNNING = "schemas/running"  # of each service, the schemas of its releases in service
FILE_LIMIT = 1024 * 1024
_PATH_LIMIT = 4096  # what systems take
# O_NONBLOCK: opening a pipe must not wait for somebody to write into it.
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# In a name: what no path may have, or what is more than a name.
_ODD = re.compile(r"[\x00-\x1f\\/]|^\.{0,2}$")
CONTENT = (PROJECT_FILE, "trust", "schemas", "environments")
"""What the pipeline reads; the rest of a repository is not its business."""


class Tree(Protocol):
    """Files by path, relative to the repository's root, with forward slashes."""

    @property
    def label(self) -> str:
        """What people call it: a folder, or `commit 9c1f2aa`."""

    @property
    def root(self) -> str:
        """The repository's folder, absolute."""

    @property
    def commit(self) -> Head:
        """Where in the history it is; `dirty` when its content is not that commit's."""

    def read(self, path: str) -> bytes | None:
        """The content, or None when nothing has that name. Raises InputError for what is no plain file."""

    def list(self, folder: str) -> list[str]:
        """Names in a folder, sorted; a folder's own name ends with `/`. Empty when there is none."""


def find_root(start: str | os.PathLike[str]) -> str:
    """The nearest folder, from `start` upwards, with a sealpipe.yaml. Raises UsageError[no-repository]."""
    folder, below = os.path.realpath(start), ""
    while folder != below:
        if os.path.isfile(os.path.join(folder, PROJECT_FILE)):
            return folder
        folder, below = os.path.dirname(folder), folder
    raise UsageError(
        "no-repository",
        f"there is no {PROJECT_FILE} here or in any folder above",
        hint=["sealpipe init"],
    )


def _refused(word: str, path: str, what: str, *hint: str) -> InputError:
    return InputError([Finding(word, what, Where(path), hint=hint)])


def _check_path(path: str) -> str:
    parts = path.split("/") if len(path) <= _PATH_LIMIT else [""]
    if not {"", ".", ".."}.isdisjoint(parts) or re.search(r"[\x00-\x1f\\]", path):
        raise _refused("bad-path", path, "this is not a path inside the repository")
    return path


def _too_large(path: str) -> InputError:
    what = f"the file is larger than {FILE_LIMIT // 1024} KiB"
    return _refused("too-large", path, what, "split it into layers")


def _symlink(path: str) -> InputError:
    return _refused("symlink", path, "a symbolic link is not read", "put a copy of the file in its place")


def _no_file(path: str) -> InputError:
    return _refused("not-a-file", path, "this is not a plain file", "remove it, or put a file in its place")


def _is_content(name: str) -> bool:
    return name.endswith((".yaml", ".json")) and not name.endswith(".local.yaml")


class WorkTree:
    """The files as they lie in a folder, whether committed or not."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.path.realpath(root)
        self.label = self.root
        self._plain_folders: set[str] = {""}

    @cached_property
    def commit(self) -> Head:
        """HEAD. Configuration that git ignores makes it dirty too: no commit has it."""
        from sealpipe import git, refs

        if refs.outside(self.root):
            return git.Head()
        head = git.head(self.root)
        if head.commit and not head.dirty:
            hidden = git.ignored_files(self.root, CONTENT)
            return head._replace(dirty=any(_is_content(name) for name in hidden))
        return head

    def read(self, path: str) -> bytes | None:
        folder, _, _ = _check_path(path).rpartition("/")
        if not self._enter(folder):
            return None
        try:
            descriptor = os.open(os.path.join(self.root, path), os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            return None
        except OSError as error:
            problem = error
        else:
            return _read_plain(descriptor, path)
        raise self._why_not(path, problem)

    def read_each(self, folder: str, names: Sequence[str]) -> Iterator[bytes | InputError | None]:
        """As `read` of each name that stands in a folder, and an InputError in place of what it raises."""
        at = -1
        with contextlib.suppress(OSError, InputError):
            if self._enter(folder and _check_path(folder)):
                at = os.open(os.path.join(self.root, folder), os.O_RDONLY | os.O_DIRECTORY | _FLAGS)
        try:
            for name in names:
                path = f"{folder}/{name}" if folder else name
                try:
                    if at < 0 or _ODD.search(name):
                        found: bytes | InputError | None = self.read(path)
                    else:
                        found = _read_plain(os.open(name, os.O_RDONLY | _FLAGS, dir_fd=at), path)
                except OSError:
                    found = _or_error(self.read, path)
                except InputError as error:
                    found = error
                yield found
        finally:
            if at >= 0:
                os.close(at)

    def _why_not(self, path: str, problem: OSError) -> InputError:
        full = os.path.join(self.root, path)
        if os.path.islink(full):
            return _symlink(path)
        if os.path.exists(full) and not os.path.isfile(full) and not os.path.isdir(full):
            return _no_file(path)
        what = f"the file cannot be read: {problem.strerror}"
        return _refused("unreadable-file", path, what, f"ls -l {path}")

    def list(self, folder: str) -> list[str]:
        if folder and not self._enter(_check_path(folder)):
            return []
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                return sorted(e.name + "/" if e.is_dir(follow_symlinks=False) else e.name for e in entries)
        except OSError as error:
            problem = error
        raise self._why_not(folder, problem)

    def _enter(self, folder: str) -> bool:
        """Whether the folder exists; each part must be a folder itself, not a link to one."""
        if folder in self._plain_folders:
            return True
        above, _, _ = folder.rpartition("/")
        if not self._enter(above):
            return False
        try:
            mode = os.lstat(os.path.join(self.root, folder)).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            problem = error
        else:
            return self._remember(folder, mode)
        raise self._why_not(folder, problem)

    def _remember(self, folder: str, mode: int) -> bool:
        if stat.S_ISLNK(mode):
            raise _symlink(folder)
        if not stat.S_ISDIR(mode):
            return False
        self._plain_folders.add(folder)
        return True


def _or_error(ask: Callable[[str], T], path: str) -> T | InputError:
    try:
        return ask(path)
    except InputError as error:
        return error


def _read_plain(descriptor: int, path: str) -> bytes:
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _no_file(path)
        parts = []
        left = FILE_LIMIT + 1
        # What stat says of the size is not believed: the file may be growing. It saves a buffer of 1 MiB.
        while left:
            asked = min(left, found.st_size + 1)
            part = os.read(descriptor, asked)
            parts.append(part)
            left -= len(part)
            # Less than was asked for is the end, but not on every file system before the size that it has.
            if not part or (len(part) < asked and FILE_LIMIT + 1 - left >= found.st_size):
                break
    finally:
        os.close(descriptor)
    if not left:
        raise _too_large(path)
    return b"".join(parts)


class Seen:
    """A tree as it was when its digest was taken: every later read gives the same bytes."""

    def __init__(self, tree: WorkTree) -> None:
        self._tree = tree
        self.label, self.root = tree.label, tree.root
        self._files: dict[str, bytes | InputError | None] = {}
        self._folders: dict[str, list[str] | InputError] = {}

    @property
    def commit(self) -> Head:
        return self._tree.commit

    def read(self, path: str) -> bytes | None:
        """As a Tree; an error is the same one again."""
        if path not in self._files:
            self._files[path] = _or_error(self._tree.read, path)
        found = self._files[path]
        if isinstance(found, InputError):
            raise InputError(found.findings)
        return found

    def read_each(self, folder: str, names: Sequence[str]) -> list[bytes | InputError | None]:
        """The files of a folder, an error in the place of what it is an error of."""
        above = f"{folder}/" if folder else ""
        paths = [above + name for name in names]
        missing = [name for name, path in zip(names, paths, strict=True) if path not in self._files]
        read = self._tree.read_each(folder, missing)
        self._files.update(zip([above + name for name in missing], read, strict=True))
        return [self._files[path] for path in paths]

    def list(self, folder: str) -> list[str]:
        """As a Tree; an error is the same one again."""
        if folder not in self._folders:
            self._folders[folder] = _or_error(self._tree.list, folder)
        found = self._folders[folder]
        if isinstance(found, InputError):
            raise InputError(found.findings)
        return found


class _Entry(NamedTuple):
    mode: str
    name: str  # of the object


class CommitTree:
    """The files as a commit has them. One `git cat-file --batch` serves all reads."""

    def __init__(self, root: str | os.PathLike[str], ref: str) -> None:
        """Raises UsageError[unknown-commit] for a ref that this clone does not have."""
        from sealpipe import git
        from sealpipe.git import Head

        self.root = os.path.realpath(root)
        found = git.resolve(self.root, ref)
        if found is None:
            raise UsageError("unknown-commit", f"git does not know `{ref}` here", hint=["git fetch --all"])
        tree = git.run(["rev-parse", f"{found}^{{tree}}"], cwd=self.root).decode().strip()
        self.commit = Head(found, tree)
        self.label = f"commit {found[:7]}"
        self._process: subprocess.Popen[bytes] | None = None

    @cached_property
    def _entries(self) -> dict[str, _Entry]:
        from sealpipe import git

        # Paths are relative to our folder, which need not be the root of the repository.
        args = ["ls-tree", "-r", "-z", self.commit.commit, "--", *CONTENT]
        entries = {}
        for line in git.run(args, cwd=self.root).split(b"\0"):
            if line:
                described, _, path = line.partition(b"\t")
                mode, _, name = described.decode("ascii").split(" ")
                entries[os.fsdecode(path)] = _Entry(mode, name)
        return entries

    @cached_property
    def _folders(self) -> dict[str, set[str]]:
        folders: dict[str, set[str]] = {}
        for path in self._entries:
            parts = path.split("/")
            for depth, name in enumerate(parts):
                mark = "" if depth == len(parts) - 1 else "/"
                folders.setdefault("/".join(parts[:depth]), set()).add(name + mark)
        return folders

    def read(self, path: str) -> bytes | None:
        entry = self._entries.get(_check_path(path))
        if entry is None:
            self._check_parents(path)
            return None
        if entry.mode == "120000":
            raise _symlink(path)
        if not entry.mode.startswith("100"):
            raise _no_file(path)
        return self._blob(entry.name, path)

    def _check_parents(self, path: str) -> None:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            above = self._entries.get("/".join(parts[:depth]))
            if above is not None and above.mode == "120000":
                raise _symlink("/".join(parts[:depth]))

    def list(self, folder: str) -> list[str]:
        if folder:
            entry = self._entries.get(_check_path(folder))
            if entry is not None and entry.mode == "120000":
                raise _symlink(folder)
        return sorted(self._folders.get(folder, ()))

    def _blob(self, name: str, path: str) -> bytes:
        into, out = self._pipes()
        header = b""
        with contextlib.suppress(OSError):
            into.write(name.encode("ascii") + b"\n")
            into.flush()
            header = out.readline()
        parts = header.split()
        if len(parts) != 3 or parts[1] != b"blob":
            raise SealpipeError("git", f"git could not read {path} of {self.label}", hint=["git fsck"])
        size = int(parts[2])
        data = out.read(size + 1)[:size]
        if size > FILE_LIMIT:
            raise _too_large(path)
        return data

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None:
            import weakref

            from sealpipe import git

            self._process = git.start(["cat-file", "--batch"], cwd=self.root)
            weakref.finalize(self, _end, self._process)
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise SealpipeError("git", "git cat-file has no pipes")
        return process.stdin, process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()


def walk(tree: Tree, folder: str) -> Iterator[str]:
    """Every path below a folder, files only, in order."""
    for name in tree.list(folder):
        path = f"{folder}/{name}" if folder else name
        if name.endswith("/"):
            yield from walk(tree, path[:-1])
        else:
            yield path
