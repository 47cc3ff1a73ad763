"""A configuration as environment variables, or as one file, for programs without a sealpipe client."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sealpipe.client.opened import Opened
from sealpipe.client.source import variable_prefix
from sealpipe.errors import RefusedError
from sealpipe.frozen import NamedTuple
from sealpipe.paths import Concrete, show_path, to_pointer

_NAME = re.compile(r"[A-Z0-9_]+")
FILE_KINDS = (".json", ".yaml", ".yml", ".env")


class Variable(NamedTuple):
    """One value; `text` may be a secret, so it is shown nowhere."""

    pointer: str
    text: str

    def __repr__(self) -> str:
        return f"<variable of {self.pointer}>"


def variables_of(service: str, values: Mapping[str, Any]) -> dict[str, Variable]:
    """Every value as `<SERVICE>__DB__HOST`: text as it is, lists and sealed maps as JSON, bytes in base64.

    Null is no variable. Raises RefusedError [variable-names] for keys whose names would collide, hold
    `__` or are no names, and for text with NUL in it; naming all of them.
    """
    prefix = variable_prefix(service)
    found: dict[str, Variable] = {}
    problems: list[str] = []
    for path, value in _leaves(values, ()):
        steps = [str(step).upper().replace("-", "_") for step in path]
        name = prefix + "__".join(steps)
        shown = show_path(path)
        text = text_of(value)
        if any("__" in step or step.startswith("_") or step.endswith("_") for step in steps):
            problems.append(f"{shown}: `__` separates the keys in a name")
        elif not all(_NAME.fullmatch(step) for step in steps):
            problems.append(f"{shown}: has characters that no variable's name has")
        elif name in found:
            problems.append(f"{shown}: has the name of {found[name].pointer}, {name}")
        elif "\0" in text:
            problems.append(f"{shown}: holds a NUL character")
        else:
            found[name] = Variable(to_pointer(path), text)
    if problems:
        raise RefusedError(
            "variable-names",
            f"{service}: not every value can be a variable",
            why=problems,
            hint=["hand the values over in a file: --file config.json"],
        )
    return found


def text_of(value: Any) -> str:
    """A value as the text of a variable."""
    plain = value.reveal() if isinstance(value, Opened) else value
    if isinstance(plain, str):
        return plain
    if isinstance(plain, bytes):
        return base64.b64encode(plain).decode("ascii")
    return json.dumps(revealed(plain), ensure_ascii=False, separators=(",", ":"))


def revealed(node: Any) -> Any:
    """A copy as JSON carries it, with every secret in clear (bytes in base64)."""
    if isinstance(node, Opened):
        return revealed(node.reveal())
    if isinstance(node, bytes):
        return base64.b64encode(node).decode("ascii")
    if isinstance(node, Mapping):
        return {name: revealed(item) for name, item in node.items()}
    return [revealed(item) for item in node] if isinstance(node, list) else node


def file_text(kind: str, service: str, values: Mapping[str, Any]) -> str:
    """The values as a file of one of FILE_KINDS. JSON is YAML too; `.env` has what `variables_of` gives."""
    if kind != ".env":
        return json.dumps(revealed(values), ensure_ascii=False, indent=2) + "\n"
    lines = [f"{name}={_quoted(found.text)}" for name, found in variables_of(service, values).items()]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _leaves(node: Any, path: Concrete) -> Iterator[tuple[Concrete, Any]]:
    if isinstance(node, Mapping) and (node or not path):
        for name, item in node.items():
            yield from _leaves(item, (*path, name))
    elif node is not None:
        yield path, node
