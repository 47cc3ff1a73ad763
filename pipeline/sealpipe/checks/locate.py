"""Causes put where they stand in a file. Origins are computed once per document, and only when asked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sealpipe.errors import Finding, Where
from sealpipe.model import Document, DocumentId
from sealpipe.paths import Concrete, Path, settle, show_path, typed
from sealpipe.schemas.compile import Effective
from sealpipe.schemas.telling.explain import Explained
from sealpipe.schemas.values import at
from sealpipe.tokens import looks_sealed

if TYPE_CHECKING:
    from sealpipe.documents.origins import Origins

# A key that a person might use for a secret, whatever the schema says of it (it may not know the key).
_TELLTALE = re.compile(
    r"pass|pwd|secret|token|credential|private|auth|cert|salt|pin$|^pin|key|code|card|iban|cookie|session|dsn|url",
    re.IGNORECASE,
)
PUSHED = "if this file was ever pushed, the value is out: change it at its source as well"


class Locator:
    """Places of one workspace's documents."""

    def __init__(self) -> None:
        self._origins: dict[DocumentId, Origins] = {}

    def of(self, document: Document) -> Origins:
        found = self._origins.get(document.id)
        if found is None:
            from sealpipe.documents.origins import origins  # with the parser

            found = self._origins[document.id] = origins(document.text, file=document.file)
        return found

    def place(self, document: Document, path: Concrete, *, key: bool = False) -> Where:
        """The place of a value or its key, or of the nearest thing above it."""
        known = self.of(document)
        exact = known.key_where(path) if key else known.where(path)
        return exact or known.nearest(path) or Where(document.file, 1, 1)


def deciding(
    documents: Sequence[Document], values: Mapping[str, Any], merge_keys: Mapping[str, str], path: Concrete
) -> tuple[Document, Concrete]:
    """The highest of `documents` (lowest first) that says something of `path`, and the path in it.

    Falls back to the nearest path above; the highest document always has the empty one.
    """
    while path:
        named: Path = typed_or_plain(values, path, merge_keys)
        for document in reversed(documents):
            local = settle(document.values, named)
            if local is not None and len(local) == len(path):
                return document, local
        path = path[:-1]
    return documents[-1], ()


def typed_or_plain(values: Any, path: Concrete, merge_keys: Mapping[str, str]) -> Path:
    """`path` with the names of keyed lists' elements, as far as it has any."""
    try:
        return typed(values, path, merge_keys) or path
    except (KeyError, IndexError, TypeError):
        return path


def located(
    cause: Explained,
    document: Document,
    *,
    path: Concrete,
    schema: Effective,
    locator: Locator,
    set_in: str = "",
) -> Finding:
    """A cause as a finding: where it stands, the line where it is safe to show, and what to do.

    `path` is the cause's in `document`. `set_in` is what lacks an absent key: a unit, else the document.
    """
    known = locator.of(document)
    if cause.absent:
        place = (known.key_where(path[:-1]) if path[:-1] else None) or Where(document.file, 1, 1)
        lacking = set_in or str(document.id)
        what = f"{cause.what}, and no layer of {lacking} sets it"
        hint = (*cause.advice, set_command(lacking, path))
        return Finding(cause.word, what, place, show_path(path), cause.why, hint)
    source, width = _source(cause, document, path, schema, known)
    where = locator.place(document, path, key=cause.on_key)
    hint = cause.advice
    if cause.near and cause.on_key:
        hint = _renamed(cause, document, path, schema)
    elif cause.word == "unknown-key" and not hint:
        remove = f"sealpipe unset {document.id} {shlex.quote(show_path(path))}"
        hint = (f"describe it in {schema.origin(path[:-1])}, or remove it: {remove}",)
    return Finding(
        cause.word, cause.what, where, show_path(path), cause.why, hint, source=source, width=width
    )


def set_command(target: object, path: Path) -> str:
    """The command that sets a path, asking for the value."""
    return f"sealpipe set {target} {shlex.quote(show_path(path))}"


def _renamed(cause: Explained, document: Document, path: Concrete, schema: Effective) -> tuple[str, ...]:
    """What to do about a key that was probably meant to be another one."""
    better = (*path[:-1], cause.near)
    value = at(document.values, path)
    if schema.walk.at(better).holds_secret and not looks_sealed(value):
        return (f"{cause.advice[0]}  remove it here, then: {set_command(document.id, better)}", PUSHED)
    move = f"sealpipe mv {document.id} {shlex.quote(show_path(path))} {shlex.quote(show_path(better))}"
    return (f"{cause.advice[0]}  {move}",)


def _source(
    cause: Explained, document: Document, path: Concrete, schema: Effective, known: Origins
) -> tuple[str, int]:
    """The line to show and how much of it to underline; nothing where any of it may be secret."""
    number = known.line_number(path)
    beside = [other for other in known.paths_on(number) if not _related(other, path)]
    if not number or any(not _plain(schema, other) for other in beside):
        return "", 0
    line = known.line(path)
    key = known.key_where(path)
    value = at(document.values, path)
    if cause.on_key and key is not None and key.line == number:
        width = known.key_width(path)
        end = key.column - 1 + width
        shown = line if _harmless(schema, path, value) else line[:end] + ": …"
        return _with_parent(_uncommented(shown), known, path, number), width
    place = known.where(path)
    if place is None or place.line != number or isinstance(value, Mapping | list) or not _plain(schema, path):
        return "", 0
    return _with_parent(_uncommented(line), known, path, number), known.value_width(path)


def _related(other: Concrete, path: Concrete) -> bool:
    """Whether one path is the other, or stands above or below it."""
    short = min(len(other), len(path))
    return other[:short] == path[:short]


def _plain(schema: Effective, path: Concrete) -> bool:
    """Whether the schema describes the place in some branch and none calls it, or a part of it, secret."""
    spot = schema.walk.at(path)
    above = any(schema.walk.at(path[:depth]).secret for depth in range(len(path)))
    return spot.known and not spot.holds_secret and not above


def _harmless(schema: Effective, path: Concrete, value: Any) -> bool:
    """Whether the value of an unknown key may be shown: a number or boolean, nowhere near a secret."""
    if not isinstance(value, bool | int | float):
        return False
    telltale = any(_TELLTALE.search(str(step)) for step in path)
    return not telltale and not schema.walk.at(path[:-1]).holds_secret


def _uncommented(line: str) -> str:
    """The line without a comment: people note old values there."""
    return re.sub(r"\s#.*", "", line).rstrip()


def _with_parent(shown: str, known: Origins, path: Concrete, number: int) -> str:
    """Two lines where the map's own key stands right above: it tells where one is."""
    parent = path[:-1]
    above = known.line(parent) if parent and known.line_number(parent) == number - 1 else ""
    alone = bool(parent) and above.strip() == f"{parent[-1]}:"
    return f"{above.rstrip()}\n{shown}" if alone else shown
