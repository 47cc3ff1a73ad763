"""Who said a value: the variable, file or argument above the published configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sealpipe.frozen import NamedTuple


class Above(NamedTuple):
    """A source above the published one, and what it said."""

    name: str  # as pydantic-settings names it
    state: Mapping[str, Any]


def where_from(
    key: Sequence[str | int], above: Iterable[Above], prefix: str, environ: Mapping[str, str]
) -> str | None:
    """The highest source that says something at `key` (or at a parent, whole), for people; None for none."""
    for source in above:
        if not _says(source.state, key):
            continue
        if "Env" in source.name and "DotEnv" not in source.name:
            return f"the variable {variable_name(key, prefix, environ)}"
        if "DotEnv" in source.name:
            return f"the dotenv file ({variable_name(key, prefix, {})})"
        if "Init" in source.name:
            return "the program itself (init)"
        return "the command line" if "Cli" in source.name else source.name
    return None


def variable_name(key: Sequence[str | int], prefix: str, environ: Mapping[str, str]) -> str:
    """The variable that sets `key`: the one that is there, a parent's or one below it, else its name."""
    there = {name.upper(): name for name in environ}
    steps = [str(step).upper() for step in key]
    for size in range(len(steps), 0, -1):
        found = there.get(prefix.upper() + "__".join(steps[:size]))
        if found is not None:
            return found
    whole = prefix.upper() + "__".join(steps)
    below = sorted(name for name in there if name.startswith(whole + "__"))
    return there[below[0]] if below else whole


def _says(state: Any, key: Sequence[str | int]) -> bool:
    node = state
    for step in key:
        if not isinstance(node, Mapping):
            return True  # a parent is set as a whole
        if step not in node:
            return False
        node = node[step]
    return True
