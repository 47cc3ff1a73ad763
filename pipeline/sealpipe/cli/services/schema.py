"""`sealpipe schema`: infer, export, check, compat."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common
from sealpipe.errors import UsageError

if TYPE_CHECKING:
    from sealpipe.looking.schema_changes import SchemaChange
    from sealpipe.model import Workspace

_INFER = ("sealpipe schema infer checkout > schemas/checkout.schema.json",)
_EXPORT = ("sealpipe schema export shop.settings:Checkout > schemas/checkout.schema.json",)
_CHECK = ("sealpipe schema check checkout shop.settings:Checkout",)
_COMPAT = ("sealpipe schema compat checkout --base origin/main",)
_MARKS = {"added": "+", "removed": "-", "changed": "~"}


@options.group("schema")
def command() -> None:
    """Schemas from documents and classes, and what a change of one means."""


@command.command("infer", examples=_INFER)
@options.argument("service")
@options.common()
def infer(opts: Common, *, service: str) -> None:
    """Print a schema that SERVICE's documents of all environments fit: a draft, for you to narrow.

    Sealed values become secrets of their type; what every environment has is required.
    """
    from sealpipe.editing.inferring import inferred
    from sealpipe.stages.load import units
    from sealpipe.stages.merge import merge

    workspace = workspaces.read_workspace(opts)
    found = [unit for unit in units(workspace) if unit.service == service]
    if not found:
        raise UsageError("unknown-service", f"{service} is in no environment", hint=["sealpipe status"])
    merged = [_own(workspace, unit.environment, service, merge) for unit in found]
    output.echo(json.dumps(inferred(merged), indent=2, ensure_ascii=False))


def _own(workspace: Workspace, environment: str, service: str, merge: Any) -> Any:
    """The service's own documents merged: shared layers have schemas of their own."""
    from sealpipe.errors import InputError
    from sealpipe.model import DocumentId

    chain = [DocumentId(name, service) for name in workspace.project.chain(environment)]
    documents = [workspace.documents[one] for one in chain if one in workspace.documents]
    values, _, findings, *_ = merge(documents, lambda _: None)
    if findings:
        raise InputError(findings)
    return values


@command.command("export", examples=_EXPORT)
@options.argument("model", metavar="MODULE:CLASS")
@options.common()
def export(_: Common, *, model: str) -> None:
    """Print the schema of a pydantic class, closed and with its secrets marked.

    The class is imported in another process, from the folder where this is called.
    """
    from sealpipe.editing.adding import closed

    output.echo(json.dumps(closed(_of_class(model)), indent=2, ensure_ascii=False))


def _of_class(model: str) -> dict[str, Any]:
    from sealpipe.editing.models import model_schema

    return model_schema(model, folder=options.started_in())


@command.command("check", examples=_CHECK)
@options.argument("service")
@options.argument("model", metavar="MODULE:CLASS")
@options.common()
def check(opts: Common, *, service: str, model: str) -> int:
    """Compare SERVICE's schema file with the schema of its class; ends with 3 where they differ.

    Titles, descriptions and defaults do not count. A union of models that nothing tells apart counts too: a
    bad value in one of them would silently be the other. Would the class start? sealpipe check says it.
    """
    from sealpipe.editing.adding import closed
    from sealpipe.editing.undecided import undecided
    from sealpipe.looking.schema_changes import changes

    workspace = workspaces.read_workspace(opts)
    file = workspace.schemas.get(service)
    if file is None:
        raise UsageError("unknown-service", f"there is no schema of {service}", hint=["ls schemas"])
    schema = _of_class(model)
    found = list(changes(file.schema, closed(schema)))
    open_choices = [
        f"? {pointer}  nothing tells its models apart: add a discriminator" for pointer in undecided(schema)
    ]
    if not found and not open_choices:
        output.note(opts, f"{file.file} and {model} say the same")
        return 0
    output.echo([f"{file.file} → {model}", *map(_line, found), *open_choices])
    return 3


@command.command("compat", examples=_COMPAT)
@options.argument("service")
@options.option("--base", metavar="REF", default="HEAD", show_default=True, help="The schema before.")
@options.common(formats=("text", "json"))
def compat(opts: Common, *, service: str, base: str) -> int:
    """Say whether what was good under SERVICE's schema at REF is good under the one here.

    Decided by inclusion, and by every document of REF held against the schema here. Ends with 3 where it
    breaks something, or where nobody can say.
    """
    from sealpipe.looking.compatibility import compatibility

    found = compatibility(workspaces.read_workspace(opts, at=base), workspaces.read_workspace(opts), service)
    if opts.format == "json":
        from sealpipe.cli.render import json_

        output.echo(
            json_.document(
                service=service,
                verdict=found.verdict,
                changes=[{"pointer": one.pointer, "kind": one.kind} for one in found.changes],
                refused=[{"unit": str(one.unit), "paths": list(one.paths)} for one in found.refused],
                replayed=found.replayed,
            )
        )
    else:
        lines = [*map(_line, found.changes)]
        lines += [f"refused  {one.unit} of {base}: {', '.join(one.paths)}" for one in found.refused]
        output.echo([*lines, f"{found.verdict}: {_VERDICTS[found.verdict].format(found.replayed, base)}"])
    return 0 if found.verdict in ("same", "compatible") else 3


_VERDICTS = {
    "same": "the schema says what it said; {0} documents of {1} fit",
    "compatible": "whatever fitted fits still; {0} documents of {1} do",
    "breaking": "something that fitted does not fit any more; {0} documents of {1} were tried",
    "unknown": "inclusion could not be decided; {0} documents of {1} fit still: have somebody look",
}


def _line(change: SchemaChange) -> str:
    def shown(value: Any) -> str:
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 60 else f"{text[:57]}…"

    told = {
        "added": shown(change.new),
        "removed": shown(change.old),
        "changed": f"{shown(change.old)} → {shown(change.new)}",
    }[change.kind]
    return f"{_MARKS[change.kind]} {change.pointer or '/'}  {told}"
