"""What a schema says of its settings beside their form: that each environment sets its own, and what it
wants to be rid of.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sealpipe.checks.locate import Locator, deciding, set_command
from sealpipe.errors import Finding, InputError
from sealpipe.model import Document, DocumentId, LayeredConfig, Workspace
from sealpipe.paths import Concrete, parse_path, settle, show_path
from sealpipe.project import SHARED, layer_ids
from sealpipe.released import Unit
from sealpipe.schemas.compile import Effective, effective
from sealpipe.schemas.walk import Spot

_AGEING = ("deprecated", "x-replaced-by", "x-removed-after")


def today() -> str:
    """The date everywhere the same, as `x-removed-after` writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def inherited(config: LayeredConfig, schema: Effective, locator: Locator) -> Iterator[Finding]:
    """Values of `x-environment` settings that a unit takes from another environment."""
    if not schema.walk.uses("x-environment"):
        return
    for path, _ in _marked(config.values, schema.walk.root, ("x-environment",)):
        for leaf in _leaves(config.values, path):
            document, local = deciding(config.documents, config.values, config.merge_keys, leaf)
            if document.id.environment == config.unit.environment:
                continue
            own = f"{schema.origin(leaf)} says that each environment sets its own"
            yield Finding(
                "inherited-value",
                f"{config.unit} takes it from {document.id.environment}, and {own}",
                locator.place(document, local, key=True),
                show_path(leaf),
                hint=(set_command(config.unit, leaf),),
            )


def ageing(workspace: Workspace, units: Sequence[Unit], *, date: str) -> tuple[Finding, ...]:
    """Settings in the documents of these units that their schemas call deprecated: a warning, or an error
    once the day that `x-removed-after` names is over. Says nothing where a schema cannot be used.
    """
    if not any(f'"{keyword}"' in file.text for file in workspace.schemas.values() for keyword in _AGEING):
        return ()
    locator = Locator()
    found: dict[tuple[object, ...], Finding] = {}
    reach: dict[tuple[object, ...], set[Unit]] = {}
    for unit in units:
        schema = _schema(workspace, unit.service)
        if schema is None or not any(map(schema.walk.uses, _AGEING)):
            continue
        for pair in layer_ids(workspace.project, unit):
            document = workspace.documents.get(DocumentId(*pair))
            for finding in _aged(document, schema, locator, date) if document is not None else ():
                key = (finding.word, finding.where, finding.path)
                found.setdefault(key, finding)
                reach.setdefault(key, set()).add(unit)
    return tuple(
        finding._replace(reach=len(reach[key])) if len(reach[key]) > 1 else finding
        for key, finding in found.items()
    )


def _schema(workspace: Workspace, service: str) -> Effective | None:
    try:
        return effective(workspace.schemas, service, (SHARED, *workspace.project.layers(service)))
    except InputError:
        return None


def _aged(document: Document, schema: Effective, locator: Locator, date: str) -> Iterator[Finding]:
    for path, spot in _marked(document.values, schema.walk.root, _AGEING):
        last = str(spot.annotation("x-removed-after") or "")
        gone = bool(last) and date > last
        what = f"{schema.origin(path)} calls it deprecated"
        if last:
            what += f", and it was to be gone after {last}" if gone else f"; it goes after {last}"
        yield Finding(
            "removed-setting" if gone else "deprecated-setting",
            what,
            locator.place(document, path, key=True),
            show_path(path),
            hint=(_instead(document, path, spot.annotation("x-replaced-by")),),
            severity="error" if gone else "warning",
        )


def _instead(document: Document, path: Concrete, replacement: object) -> str:
    """The command that does it; what `lint` refuses as a replacement is none."""
    old = shlex.quote(show_path(path))
    try:
        there = isinstance(replacement, str) and settle(document.values, parse_path(replacement)) is None
    except ValueError:
        there = False
    if not there:
        return f"sealpipe unset {document.id} {old}"
    return f"sealpipe mv {document.id} {old} {shlex.quote(str(replacement))}"


def _marked(
    value: Any, spot: Spot, keywords: Sequence[str], path: Concrete = ()
) -> Iterator[tuple[Concrete, Spot]]:
    """Paths in `value` that the schema marks with one of the keywords; nothing below one is named again."""
    if value is None:
        return  # a layer that deletes it
    if path and any(spot.annotation(keyword) not in (None, False) for keyword in keywords):
        yield path, spot
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _marked(inner, spot.step(key), keywords, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _marked(inner, spot.step(index), keywords, (*path, index))


def _leaves(values: Any, path: Concrete) -> Iterator[Concrete]:
    node = values
    for step in path:
        node = node[step]
    if not isinstance(node, Mapping) or not node:
        yield path
        return
    for key in node:
        yield from _leaves(values, (*path, key))
