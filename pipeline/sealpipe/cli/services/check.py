"""`sealpipe check`: would this code start?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common
from sealpipe.errors import UsageError

if TYPE_CHECKING:
    from sealpipe.model import Workspace
    from sealpipe.released import Unit

_EXAMPLES = (
    "sealpipe check shop.settings:Checkout",
    "sealpipe check shop.settings:Checkout production -C ../config",
)


@options.command("check", examples=_EXAMPLES)
@options.argument("model", metavar="MODULE:CLASS")
@options.argument("environments", nargs=-1, metavar="[ENV]…")
@options.option(
    "--all-envs", is_flag=True, help="Every environment that has the service; so without ENV too."
)
@options.option("--service", metavar="NAME", help="Where the class does not name it.")
@options.common(formats=("text", "json"))
def command(
    opts: Common, *, model: str, environments: tuple[str, ...], all_envs: bool, service: str | None
) -> int:
    """Start a settings class on the configuration of each environment, without starting the service.

    It is imported in another process, from the folder where this is called; -C names the repository of the
    configuration. Values are those of the files, validated; secrets are made up. Ends with 4 where the
    class would not start.
    """
    from sealpipe.cli.render import trials as render
    from sealpipe.serving.trial import service_of, trials
    from sealpipe.trees import WorkTree

    if environments and all_envs:
        raise UsageError("usage", "name environments or say --all-envs")
    workspace = workspaces.read_workspace(opts)
    folder = options.started_in()
    name = service or service_of(model, folder=folder)
    if not name:
        raise UsageError("usage", f"{model} names no service", hint=["add --service NAME"])
    found = trials(WorkTree(workspace.root), model, _units(workspace, name, environments), folder=folder)
    output.echo(render.as_json(found) if opts.format == "json" else render.as_text(found, color=opts.color))
    return 0 if all(one.starts for one in found) else 4


def _units(workspace: Workspace, service: str, environments: tuple[str, ...]) -> list[Unit]:
    from sealpipe.stages.load import units

    for environment in environments:
        workspaces.need_environment(workspace, environment)
    found = [
        unit
        for unit in units(workspace)
        if unit.service == service and (not environments or unit.environment in environments)
    ]
    if not found:
        where = " and ".join(environments) if environments else "any environment"
        raise UsageError("unknown-service", f"{service} is not in {where}", hint=["sealpipe status"])
    return found
