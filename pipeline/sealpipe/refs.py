"""What git answers about history depends on. From git's own files where they are simple, else told by git."""

from __future__ import annotations

import os
import re
from contextlib import suppress

from sealpipe import git

_HEAD = rb"(?:ref: refs/[^\n]+|[0-9a-f]{40}|[0-9a-f]{64})\n"


def refs(folder: str) -> list[bytes]:
    """HEAD, every ref, and where history is cut. All empty outside git.

    Two equal answers mean that `git.histories`, `git.merge_base` and `git.resolve` answer alike. The reverse
    is not so: git may write the same refs in another way.
    """
    found: list[bytes] | None = None
    with suppress(OSError):
        found = _of_files(os.path.realpath(folder))
    return git.refs(folder) if found is None else found


def outside(folder: str) -> bool:
    """Whether there is nothing that git could take for a repository, here or in any folder above."""
    with suppress(OSError):
        return _above(os.path.realpath(folder)) == ""
    return False


def _of_files(folder: str) -> list[bytes] | None:
    """None where git has to be asked: worktrees, other formats, folders of other users, anything unusual."""
    if any(name.startswith("GIT_CEILING_") for name in os.environ):
        return None
    found = _above(folder)
    if found == "":
        return []
    return None if found is None else _of_repository(found, os.path.join(found, ".git"))


def _above(folder: str) -> str | None:
    """The nearest folder with a `.git`, "" where there is none; None where git may see something else."""
    above = ""
    while folder != above:
        if os.path.lexists(os.path.join(folder, ".git")):
            return folder
        if os.path.lexists(os.path.join(folder, "HEAD")):
            return None  # a repository without a working copy may begin here
        folder, above = os.path.dirname(folder), folder
    return ""


def _of_repository(folder: str, own: str) -> list[bytes] | None:
    mine = all(os.lstat(place).st_uid == os.geteuid() for place in (folder, own))
    unusual = any(os.path.lexists(os.path.join(own, name)) for name in ("commondir", "reftable"))
    if not mine or unusual or os.path.islink(own) or not os.path.isdir(os.path.join(own, "objects")):
        return None
    head = git.content_of(os.path.join(own, "HEAD"))
    if not re.fullmatch(_HEAD, head):
        return None
    found = [own.encode("utf-8", "surrogateescape"), head]
    found += [git.content_of(os.path.join(own, name)) for name in ("packed-refs", "shallow", "info/grafts")]
    waiting = ["refs"]
    for below in waiting:  # grows as it goes
        with os.scandir(os.path.join(own, below)) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = f"{below}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                else:
                    found += [
                        name.encode("utf-8", "surrogateescape"),
                        git.content_of(os.path.join(own, name)),
                    ]
    return found
