"""A folder store: who may write there, how much room is left, and whether it is on a network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sealpipe.stores.base import Fact, Store

ROOM = 64 * 1024 * 1024
_REMOTE = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "glusterfs", "ceph")


def examine(url: str, store: Store, *, base: str, timeout: float) -> Iterator[Fact]:  # noqa: ARG001
    """Facts about the folder of a `file:` URL, relative to `base`."""
    path = Path(base, url.removeprefix("file:").partition("?")[0])
    if not path.exists():
        yield Fact("ok", "no folder yet: the first publish makes it")
        return
    if not path.is_dir():
        yield Fact("problem", f"{path} is no folder", f"ls -ld {path}")
        return
    if path.stat().st_mode & 0o002:
        what = "can be written by everybody on this machine; services notice, people wonder"
        yield Fact("warning", f"{path} {what}", f"chmod o-w {path}")
    room = os.statvfs(path)
    free = room.f_bavail * room.f_frsize
    if free < ROOM or (room.f_files and room.f_favail < 1000):
        yield Fact("warning", f"{path} has little room left: {free // 1024:,} KiB", f"df -h {path}")
    kind = _filesystem(path)
    if kind.startswith(_REMOTE):
        what = f"is on {kind}: locks and renames there may not be what they are on a disk"
        yield Fact("warning", f"{path} {what}", "use one writer, or a store that has transactions")


def _filesystem(path: Path) -> str:
    """The type of the filesystem that holds a path, "" where the system does not say."""
    best, kind = "", ""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    place = str(path.resolve())
    for line in lines:
        _, mount, name, *_ = line.split(" ")
        mount = mount.replace("\\040", " ")
        inside = place == mount or place.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, name
    return kind
