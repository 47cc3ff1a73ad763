"""A value as somebody typed, piped or generated it, made into what the schema wants there.

Nothing here shows what was given: every error says what was expected.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from sealpipe.documents.read import read_yaml
from sealpipe.errors import InputError, UsageError
from sealpipe.frozen import NamedTuple
from sealpipe.membership.slots import Slot
from sealpipe.schemas.compile import plain_check
from sealpipe.schemas.engine import Problem
from sealpipe.tokens import TYPES

_ORDER = ("str", "int", "float", "bool", "object", "array", "bytes")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Given(NamedTuple):
    """A value and the type under which it would be sealed. Does not print what it holds."""

    value: Any
    type: str

    def __repr__(self) -> str:
        return f"Given({self.type})"


def read_given(slot: Slot, data: bytes, *, kind: str | None, secret: bool) -> Given:
    """The value that `data` means at `slot`: of `kind`, or of the first type that fits the schema there.

    Raises UsageError [wrong-type] when it is none of what the place takes. Rules beyond the type are
    checked by `check_given`.
    """
    kinds = _kinds(slot, data, kind, secret)
    found = [given for name in kinds if (given := _as(name, data)) is not None]
    if not found:
        raise UsageError("wrong-type", _none_of(slot, data, kinds))
    if not slot.known:
        return found[0]
    return next((given for given in found if not problems(slot, given)), found[0])


def _none_of(slot: Slot, data: bytes, kinds: Sequence[str]) -> str:
    if "str" in kinds:
        reason = "holds a NUL character" if b"\0" in data else "is no UTF-8"
        return f"{slot.shown} takes text, and what was given {reason}"
    return f"{slot.shown} takes {' or '.join(kinds)}, and this is none (not shown)"


def _kinds(slot: Slot, data: bytes, kind: str | None, secret: bool) -> Sequence[str]:
    allowed = slot.secret
    if kind is not None:
        if kind not in TYPES:
            raise UsageError("usage", f"--type is one of {', '.join(TYPES)}")
        if allowed is not None and kind not in allowed:
            names = ", ".join(sorted(allowed))
            raise UsageError(
                "wrong-type", f"{slot.shown} takes {names} as {slot.schema.origin(slot.path)} says"
            )
        return [kind]
    if allowed is not None:
        return [name for name in _ORDER if name in allowed]
    if secret:
        return ["str", "bytes"]
    if b"\n" in data and not slot.known:
        return ["str"]
    # What reads as a number, boolean, map or list is one, unless the schema wants text there.
    return ["int", "float", "bool", "object", "array", "str"]


def _as(kind: str, data: bytes) -> Given | None:
    if kind == "bytes":
        return Given(data, kind)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if kind == "str":
        return Given(text, kind) if "\0" not in text else None
    value = _parse(text)
    fits: dict[str, Callable[[Any], bool]] = {
        "int": lambda found: isinstance(found, int) and not isinstance(found, bool),
        "float": lambda found: isinstance(found, int | float) and not isinstance(found, bool),
        "bool": lambda found: isinstance(found, bool),
        "object": lambda found: isinstance(found, dict),
        "array": lambda found: isinstance(found, list),
    }
    return Given(value, kind) if fits[kind](value) else None


def _parse(text: str) -> Any:
    """A YAML value, of any kind; None for what is none."""
    lines = text.strip("\n").split("\n")
    indented = "value:\n" + "\n".join("  " + line for line in lines)
    try:
        return read_yaml(indented, file="the value").get("value")
    except InputError:
        return None


def random_value(slot: Slot, size: int, kind: str | None) -> Given:
    """A value that nobody chose: `size` letters and digits, or bytes where only those fit."""
    allowed = slot.secret or frozenset({"str"})
    wanted = kind or ("str" if "str" in allowed else "bytes" if "bytes" in allowed else "")
    if wanted not in ("str", "bytes") or wanted not in allowed:
        raise UsageError(
            "wrong-type", f"{slot.shown} takes {', '.join(sorted(allowed))}: --random makes text"
        )
    if not 8 <= size <= 4096:
        raise UsageError("usage", "--random takes a length from 8 to 4096")
    if wanted == "bytes":
        return Given(os.urandom(size), "bytes")
    from random import SystemRandom  # what `secrets` uses, without the rest of it

    choose = SystemRandom().choice
    return Given("".join(choose(_ALPHABET) for _ in range(size)), "str")


def problems(slot: Slot, given: Given) -> list[Problem]:
    """What the schema says against this value at its place. Bytes are base64 in the schema's eyes."""
    value = given.value
    if given.type == "bytes":
        value = base64.b64encode(given.value).decode("ascii")
    return plain_check(slot.schema, slot.path, value)


def infer_schema(value: Any) -> dict[str, Any]:
    """The narrowest plain schema that this value and its likes fit: types, closed maps, items."""
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "integer"}
    if isinstance(value, float):
        return {"type": "number"}
    if isinstance(value, dict):
        inner = {key: infer_schema(part) for key, part in value.items() if part is not None}
        return {"type": "object", "additionalProperties": False, "properties": inner}
    if isinstance(value, list):
        return {"type": "array", **_items(value)}
    return {"type": "string"}


def _items(values: list[Any]) -> dict[str, Any]:
    kinds: list[dict[str, Any]] = []
    for value in values:
        schema = infer_schema(value)
        if schema not in kinds:
            kinds.append(schema)
    if not kinds:
        return {}
    return {"items": kinds[0] if len(kinds) == 1 else {"anyOf": kinds}}


def looks_like_a_secret(path: str) -> bool:
    """Whether a setting's name says that it holds a secret. A guess, for a hint only."""
    words = re.split(r"[^a-z0-9]+", path.lower())
    return bool(
        {"password", "passwd", "secret", "token", "apikey", "credential", "credentials"} & set(words)
    ) or ("api_key" in path.lower() or "private_key" in path.lower())
