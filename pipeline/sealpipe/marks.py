"""What the system says of files without reading them."""

from __future__ import annotations

import os
import stat

from sealpipe.frozen import NamedTuple


class Mark(NamedTuple):
    """What changes with any write to a file, where its last one is longer ago than a clock's tick."""

    text: str
    at_ns: int  # of that write, by the clock of the file system


def marks(folder: str) -> dict[str, Mark]:
    """Of each plain file of a folder by name; of nothing where it cannot be listed."""
    found: dict[str, Mark] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                of = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(of.st_mode):
                    text = f"{of.st_dev} {of.st_ino} {of.st_size} {of.st_mtime_ns} {of.st_ctime_ns}"
                    found[entry.name] = Mark(text, max(of.st_mtime_ns, of.st_ctime_ns))
    except OSError:
        return {}
    return found
