"""Why a document does not fit a settings model, in our words: from a place and a kind of error only.

pydantic's own messages, inputs and contexts are never shown: they hold values, and a user's validator
can put a secret into its message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Secret, SecretBytes, SecretStr, ValidationError

from sealpipe.frozen import NamedTuple
from sealpipe.settings.redacted import RedactedBytes, RedactedStr

Path = tuple[str | int, ...]
_HIDDEN = (RedactedStr, RedactedBytes, Secret, SecretStr, SecretBytes)
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")

# What the model demands stands in the context under these names: constants of the class, no values.
_TEXTS = {
    "missing": "is required, and neither published nor set",
    "extra_forbidden": "is not a setting of the model",
    "none_required": "must be null",
    "greater_than": "must be > {gt}",
    "greater_than_equal": "must be >= {ge}",
    "less_than": "must be < {lt}",
    "less_than_equal": "must be <= {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_pattern_mismatch": "does not match the pattern that the model demands",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "union_tag_invalid": "has an unknown {discriminator}; expected {expected_tags}",
    "union_tag_not_found": "needs {discriminator}, which says what it is",
    "finite_number": "must be a finite number",
    "int_from_float": "must be a whole number",
    "value_error": "was refused by a validator of the model",
    "assertion_error": "was refused by a validator of the model",
    "frozen_field": "cannot be changed",
    "json_invalid": "must be JSON",
}
_SEALED = "is sealed, and its content does not fit its type"
_KINDS = (
    ("int_", "must be an integer"),
    ("float_", "must be a number"),
    ("decimal_", "must be a decimal number"),
    ("bool_", "must be true or false"),
    ("string_", "must be a string"),
    ("bytes_", "must be bytes"),
    ("list_", "must be a list"),
    ("tuple_", "must be a list"),
    ("set_", "must be a list without repetition"),
    ("frozen_set_", "must be a list without repetition"),
    ("iterable_", "must be a list"),
    ("dict_", "must be a map"),
    ("mapping_", "must be a map"),
    ("model_", "must be a map"),
    ("dataclass_", "must be a map"),
    ("url_", "must be a URL"),
    ("datetime_", "must be a date and time"),
    ("date_", "must be a date"),
    ("time_delta_", "must be a duration"),
    ("time_", "must be a time"),
    ("timezone_", "must be a time with a zone"),
    ("uuid_", "must be a UUID"),
    ("ip_", "must be an IP address"),
    ("path_", "must be a path"),
    ("json_", "must be JSON"),
)


class Problem(NamedTuple):
    """One error of the model: where, as the model's sources spell it, and what it demands there."""

    key: Path
    what: str


def problems_of(error: ValidationError, merged: Mapping[str, Any]) -> list[Problem]:
    """The errors in our words; `merged` is what the model was given, read for its keys only."""
    found: dict[Problem, None] = {}
    for entry in error.errors(include_url=False, include_input=False):
        key, hidden = _place(entry["loc"], entry["type"], merged)
        if hidden == "here":
            text = _SEALED
        elif hidden == "below":  # what a validator says there may be made of the secret
            text = _text(entry["type"] if entry["type"] in _TEXTS else "value_error", {})
        else:
            text = _text(entry["type"], entry.get("ctx", {}))
        found[Problem(key, text)] = None
    return list(found)


def _place(loc: Sequence[str | int], kind: str, merged: Mapping[str, Any]) -> tuple[Path, str]:
    """The path of an error in the document, without the names of union branches, and whether a secret
    stands "here" (or above), "below", or "" nowhere near."""
    node: Any = merged
    path: list[str | int] = []
    for position, step in enumerate(loc):
        if isinstance(node, _HIDDEN):
            break  # the inside of a secret is not shown, not even its keys
        inside = _inside(node, step)
        if inside is not _NOWHERE:
            node = inside
            path.append(step)
        elif position == len(loc) - 1 and kind in ("missing", "extra_forbidden"):
            return (*path, step), ""
    if isinstance(node, _HIDDEN):
        return tuple(path), "here"
    return tuple(path), "below" if _holds_secret(node) else ""


_NOWHERE: Any = object()


def _inside(node: Any, step: str | int) -> Any:
    if isinstance(node, Mapping):
        return node.get(step, _NOWHERE)
    if isinstance(node, list | tuple) and isinstance(step, int) and step < len(node):
        return node[step]
    return _NOWHERE


def _holds_secret(node: Any) -> bool:
    if isinstance(node, _HIDDEN):
        return True
    inner: Iterable[Any] = node.values() if isinstance(node, Mapping) else ()
    if isinstance(node, list | tuple | set | frozenset):
        inner = node
    return any(_holds_secret(item) for item in inner)


def _text(kind: str, context: Mapping[str, Any]) -> str:
    text = _TEXTS.get(kind)
    if text is None:
        text = next((words for start, words in _KINDS if kind.startswith(start)), "")
    if not text:
        return f"was refused by the model ({kind})" if _CODE.fullmatch(kind) else "was refused by the model"
    names = re.findall(r"{(\w+)}", text)
    return text.format(**{name: context.get(name, "…") for name in names})
