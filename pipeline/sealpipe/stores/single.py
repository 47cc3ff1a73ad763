"""The form of writes that change one key each, as a folder takes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sealpipe.errors import ConflictError, TooLargeError, UnsupportedError
from sealpipe.stores.base import ABSENT, Check, Delete, Limits, Op, Put, check_ops

VALUE_LIMIT = 4 * 1024 * 1024
LIMITS = Limits(value=VALUE_LIMIT, ops=64, request=64 * VALUE_LIMIT, history=20, transactional=False)


def one_change(ops: Sequence[Op]) -> Put | Delete | None:
    """What a write changes. Raises UnsupportedError [bad-key, bad-write] and TooLargeError."""
    check_ops(ops, VALUE_LIMIT)
    if len(ops) > LIMITS.ops:
        raise TooLargeError("write-too-large", f"a write holds more than {LIMITS.ops} operations")
    changes = [op for op in ops if not isinstance(op, Check)]
    if len(changes) > 1:
        raise UnsupportedError("bad-write", "a file store changes one key in a write")
    return changes[0] if changes else None


def check_apart(writes: Sequence[Sequence[Op]], changes: Sequence[Put | Delete | None]) -> None:
    """What makes it the same whether writes are looked at before, or one by one."""
    if len(writes) < 2:
        return
    changed = [change.key for change in changes if isinstance(change, Put)]
    checked = {op.key for ops in writes for op in ops if isinstance(op, Check)}
    if len(set(changed)) < len(writes) or checked & set(changed):
        raise UnsupportedError("bad-write", "writes that come together each put a key of their own")


def unmet(ops: Sequence[Op], known: Mapping[str, str] = MappingProxyType({})) -> ConflictError | None:
    """What a write expects and does not find; a key whose version is not known is absent."""
    for op in ops:
        if op.expect is not None and known.get(op.key, ABSENT) != op.expect:
            return ConflictError("conflict", f"{op.key} is not what was expected; nothing was written")
    return None
