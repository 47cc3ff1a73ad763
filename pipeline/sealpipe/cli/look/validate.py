"""`sealpipe validate`: everything that can be checked without a key."""

from __future__ import annotations

from sealpipe.cli import options
from sealpipe.cli.look.validating import Asked, run
from sealpipe.cli.options import Common, Target

_EXAMPLES = (
    "sealpipe validate",
    "sealpipe validate production/checkout",
    "sealpipe validate --changed-since HEAD     before a commit",
    "sealpipe validate --format github          annotations, in a workflow",
    "sealpipe validate --format sarif           for code scanning; junit for test reports",
)


@options.command("validate", examples=_EXAMPLES)
@options.target_argument(required=False)
@options.option(
    "--changed-since", "since", metavar="REF", default="", help="Only what changed since a commit."
)
@options.option(
    "--open", "open_", is_flag=True, help="Open secrets with your key and check their content too."
)
@options.option("--no-cache", is_flag=True, help="Look at every file, whatever is known of it.")
@options.common(formats=("text", "json", "github", "markdown", "sarif", "junit"))
def command(opts: Common, *, target: Target | None, since: str, open_: bool, no_cache: bool) -> int:
    """Check files, layers, schemas, sealed values and signatures.

    Without a target everything is checked. No key is needed: of a sealed value its form, key, place and
    type are checked; its content is what --open is for. Ends with 4 for an error in the configuration, 6
    when trust.yaml or a keyring is not to be trusted.
    """
    asked = Asked(
        opts.root(),
        target.environment if target else "",
        (target.service if target else None) or "",
        since,
        open=open_,
        cached=not no_cache,
        format=opts.format,
        quiet=opts.quiet,
        color=opts.color,
        given_folder=opts.given_folder,
    )
    return run(asked)
