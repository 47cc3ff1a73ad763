"""`sealpipe get`: one value, opened."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common, Target, parse_target
from sealpipe.errors import Finding, InputError, RefusedError, UsageError

if TYPE_CHECKING:
    from sealpipe.looking.reading import View
    from sealpipe.model import Workspace

_EXAMPLES = (
    "sealpipe get dev/checkout db.pool_max",
    "sealpipe get production/checkout db.password --reveal",
    "sealpipe get production/checkout db.pool_max --published",
    "sealpipe get production/checkout db.pool_max --layer base",
)


@options.command("get", examples=_EXAMPLES)
@options.target_argument(service="required")
@options.argument("path", metavar="PATH")
@options.option("--layer", metavar="ENV[/NAME]", help="What this one layer says: base, or production/_all.")
@options.option("--published", is_flag=True, help="What the store has, not the files.")
@options.option("--reveal", is_flag=True, help="Show a secret of a protected environment on a terminal.")
@options.common(formats=("text", "json"))
def command(
    opts: Common, *, target: Target, path: str, layer: str | None, published: bool, reveal: bool
) -> None:
    """Print one value of ENV/SERVICE as its services get it; a secret is opened with your key.

    Text is printed as it is, everything else as JSON.
    """
    files = layer is None and not published
    workspace = workspaces.read_unit(opts, target.unit()) if files else workspaces.read_workspace(opts)
    if layer is not None and published:
        raise UsageError("usage", "--layer and --published exclude each other")
    view = (
        _layer_view(workspace, target, layer)
        if layer is not None
        else _view(opts, workspace, target, published)
    )
    value, secret = _value(workspace, view, path, reveal=reveal)
    if opts.format == "json":
        shown = {"schema_version": 1, "path": path, "value": value, "secret": secret, "from": view.label}
        output.echo(json.dumps(shown, ensure_ascii=False))
        return
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # A value from a file must not move a terminal's cursor; a pipe gets it as it is.
    output.echo(output.clean(text) if sys.stdout.isatty() else text)


def _view(opts: Common, workspace: Workspace, target: Target, published: bool) -> View:
    from sealpipe.looking.reading import merged, need_published, view_of, view_of_release
    from sealpipe.serving.handing import refuse_retired

    if published:
        pins = workspaces.trusted_pins(opts, workspace)
        release = need_published(workspace, target.unit(), pins)
        refuse_retired(release)
        return view_of_release(release, workspace)
    return view_of(*merged(workspace, target.unit()))


def _layer_view(workspace: Workspace, target: Target, layer: str) -> View:
    from sealpipe.looking.reading import view_of_document
    from sealpipe.membership.slots import find_document, schema_of
    from sealpipe.model import DocumentId

    named = parse_target(layer)
    document = find_document(workspace, DocumentId(named.environment, named.service or str(target.service)))
    return view_of_document(document, schema_of(workspace, document.id))


def _value(workspace: Workspace, view: View, text: str, *, reveal: bool) -> tuple[Any, bool]:
    from sealpipe.looking.reading import UNSEALED, View, environments_of, revealed
    from sealpipe.membership.slots import parse_given_path
    from sealpipe.paths import lookup, settle, to_pointer

    concrete = settle(view.values, parse_given_path(text))
    if concrete is None:
        raise UsageError(
            "not-set",
            f"{view.unit} has no {text}",
            why=[f"looked in {view.label}"],
            hint=[f"sealpipe explain {view.unit}"],
        )
    pointer = to_pointer(concrete)
    inside = {at: doc for at, doc in view.sealed.items() if at == pointer or at.startswith(pointer + "/")}
    found = lookup(view.values, concrete)
    if UNSEALED in json.dumps(found):
        raise InputError([
            Finding("plaintext-secret", "a secret here is not sealed (value not shown)", path=text,
                    hint=(f"sealpipe seal {view.unit}",))
        ])  # fmt: skip
    if not inside:
        return found, False
    _may_show(workspace, view, text, reveal)
    part = View(view.unit, view.values, inside, view.merge_keys, view.label)
    only = {at.document for at in inside.values()}
    keys = {name: workspaces.my_keys(workspace, name, only) for name in environments_of(part)}
    return lookup(revealed(part, keys), concrete), True


def _may_show(workspace: Workspace, view: View, path: str, reveal: bool) -> None:
    trust = workspace.trust.environments.get(view.unit.environment) if workspace.trust else None
    if reveal or trust is None or not trust.protected or not sys.stdout.isatty():
        return
    raise RefusedError(
        "needs-reveal",
        f"this is a secret of {view.unit.environment}, which is protected, and you are on a terminal",
        hint=[f"sealpipe get {view.unit} {path} --reveal"],
    )
