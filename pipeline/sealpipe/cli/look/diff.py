"""`sealpipe diff`: two configurations side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common

if TYPE_CHECKING:
    from sealpipe.looking.comparing import Comparison

_EXAMPLES = (
    "sealpipe diff HEAD~3                       what changed since, in every service",
    "sealpipe diff staging production",
    "sealpipe diff published:dev dev",
    "sealpipe diff dev/checkout dev/mailer",
)


@options.command("diff", examples=_EXAMPLES)
@options.argument("one", metavar="A")
@options.argument("other", metavar="[B]", default="")
@options.option("--exit-code", is_flag=True, help="End with 3 when there are differences.")
@options.common(formats=("text", "json"))
def command(opts: Common, *, one: str, other: str, exit_code: bool) -> int:
    """Show what B has that A has not, merged value by value. Without B: the work tree.

    A side is a commit, branch or tag, ENV or ENV/SERVICE, published:ENV, or a folder with a sealpipe.yaml.
    Secrets are never opened.
    """
    from sealpipe.looking.comparing import compare

    workspace = workspaces.read_workspace(opts)
    with output.progress(opts, "comparing"):
        found = compare(workspace, one, other, lambda: workspaces.trusted_pins(opts, workspace))
    if opts.format == "json":
        output.echo(_json(found))
    else:
        from sealpipe.cli.render.text_diff import comparison

        output.echo(comparison(found, color=opts.color))
    different = any(difference.changes or difference.kind != "changed" for difference in found.differences)
    return 3 if exit_code and different else 0


def _json(found: Comparison) -> list[str]:
    from sealpipe.cli.render import json_

    services: list[dict[str, Any]] = [
        {
            "name": one.name,
            "kind": one.kind,
            "secrets_not_comparable": one.unknown,
            "changes": [
                {"path": c.path, "kind": c.kind, "old": c.old, "new": c.new, "where": c.where or None}
                for c in one.changes
            ],
        }
        for one in found.differences
    ]
    return json_.document(a=found.one, b=found.other, services=services, same=found.same)
