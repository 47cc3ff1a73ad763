"""`sealpipe set`: one value of a document."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common, Target
from sealpipe.errors import SealpipeError, UsageError
from sealpipe.frozen import NamedTuple, replace

if TYPE_CHECKING:
    from sealpipe.editing.given import Given
    from sealpipe.editing.values import ValueEdit
    from sealpipe.editing.writing import FileEdit
    from sealpipe.membership.slots import Slot

_EXAMPLES = (
    "sealpipe set dev/checkout db.pool_max 20",
    "sealpipe set dev/checkout db.password             asks without echo",
    "sealpipe set dev/checkout db.password --random 32",
    "sealpipe set dev/checkout tls.key --file server.key",
    "pass show db | sealpipe set dev/checkout db.password",
)
_LIMIT = 1024 * 1024


@options.command("set", examples=_EXAMPLES)
@options.target_argument(service="required")
@options.argument("path", metavar="PATH")
@options.argument("value", required=False, metavar="[VALUE]")
@options.option("--file", "file", metavar="FILE", help="Take the value from a file; - is stdin.")
@options.option(
    "--random",
    "size",
    type=int,
    is_flag=False,
    flag_value=32,
    metavar="[N]",
    help="N random characters (32).",
)
@options.option("--type", "kind", metavar="TYPE", help="str, int, float, bool, object, array or bytes.")
@options.option(
    "--secret", is_flag=True, help="Seal it, and mark a path that the schema does not know as secret."
)
@options.option("--plain", is_flag=True, help="The path sounds like a secret and is none.")
@options.common(formats=("text", "json"), writes=True)
def command(
    opts: Common,
    *,
    target: Target,
    path: str,
    value: str | None,
    file: str | None,
    size: int | None,
    kind: str | None,
    secret: bool,
    plain: bool,
) -> None:
    """Set a value of ENV/SERVICE, or of a shared layer (ENV/_all).

    Without VALUE it is asked for, or read from stdin. Where the schema says secret, a VALUE is refused
    (it would be in your shell's history) and what is typed is not shown. A path that the schema does not
    know is added to it.
    """
    from sealpipe.crypto.sealing import Sealer
    from sealpipe.editing.values import set_value
    from sealpipe.membership.slots import find_slot

    workspace = workspaces.read_workspace(opts)
    slot = find_slot(workspace, workspaces.document_of(target), path)
    sealed = _wants_seal(slot, secret)
    given = _given(opts, slot, _Source(value, file, size, kind), sealed=sealed)
    keyrings: tuple[FileEdit, ...] = ()
    if sealed:
        workspaces.trusted_pins(opts, workspace)
        workspace, keyrings = workspaces.with_document_key(workspace, [slot.document.id])
        slot = replace(slot, workspace=workspace)
    done = set_value(slot, given, secret=sealed, sealer=Sealer())
    if done.schema and not (sealed or plain):
        _sounds_plain(slot)
    workspaces.write(opts, workspace.root, [*keyrings, *done.edits])
    report(opts, done)
    if done.schema:
        _near(opts, slot)


def _wants_seal(slot: Slot, secret: bool) -> bool:
    if secret and slot.known and slot.secret is None:
        raise UsageError(
            "not-secret",
            f"{slot.schema.origin(slot.path)} says that {slot.shown} is no secret",
            hint=[f'give it "writeOnly": true there, then: sealpipe set {slot.document.id} {slot.typed}'],
        )
    return secret or slot.secret is not None


class _Source(NamedTuple):
    """Where the value comes from, as the command line says."""

    value: str | None
    file: str | None
    size: int | None
    kind: str | None

    def __repr__(self) -> str:
        return "_Source(…)"


def _given(opts: Common, slot: Slot, source: _Source, *, sealed: bool) -> Given:
    from sealpipe.editing.given import random_value, read_given

    if sum(part is not None for part in (source.value, source.file, source.size)) > 1:
        raise UsageError("usage", "give the value once: VALUE, --file or --random")
    if source.value is not None and sealed:
        raise UsageError(
            "secret-on-command-line",
            f"{slot.shown} is a secret; a value on the command line stays in the shell's history",
            why=["if it was a real one, it is out: change it at its source"],
            hint=[f"sealpipe set {slot.document.id} {slot.typed}" + ("" if slot.known else " --secret")],
        )
    if source.size is not None:
        if not sealed:
            hint = [f"sealpipe set {slot.document.id} {slot.typed} --random {source.size} --secret"]
            raise UsageError("usage", "--random makes a secret, and this path is none", hint=hint)
        return random_value(slot, source.size, source.kind)
    return read_given(slot, _data(opts, slot, source, sealed), kind=source.kind, secret=sealed)


def _data(opts: Common, slot: Slot, source: _Source, sealed: bool) -> bytes:
    if source.value is not None:
        return source.value.encode(errors="surrogateescape")
    if source.file is not None and source.file != "-":
        return _without_end(_read_file(source.file), source.kind)
    if source.file == "-" or not sys.stdin.isatty():
        data = sys.stdin.buffer.read(_LIMIT + 1)
        if not data and source.file is None:
            # Most likely there is no input at all, and an empty value would be set by accident.
            hint = [f"sealpipe set {slot.document.id} {slot.typed} --file -    takes an empty one"]
            raise UsageError("usage", "nothing came from stdin; nothing was done", hint=hint)
        return _without_end(data, source.kind)
    if not sealed:
        output.note(opts, f"{slot.shown}: type the value and Enter")
        return sys.stdin.readline().rstrip("\n").encode()
    typed = output.ask_hidden(
        "Value (hidden): ", instead=f"sealpipe set {slot.document.id} {slot.typed} --file -"
    )
    if not typed:
        raise UsageError("usage", "nothing was typed; nothing was done")
    return typed.encode()


def _read_file(name: str) -> bytes:
    problem = ""
    try:
        with Path(name).open("rb") as file:
            return file.read(_LIMIT + 1)
    except OSError as error:
        problem = error.strerror or "cannot be read"
    # The name is not repeated: somebody may have put the value there by mistake.
    raise SealpipeError("system", f"the file of --file cannot be read: {problem}")


def _without_end(data: bytes, kind: str | None) -> bytes:
    """What `echo` and editors add is no part of a value; bytes are taken as they are."""
    if len(data) > _LIMIT:
        raise UsageError("usage", "the value is longer than 1 MiB")
    if kind == "bytes":
        return data
    return data.removesuffix(b"\n").removesuffix(b"\r")


def report(opts: Common, done: ValueEdit) -> None:
    """Say what was written: kind, file and line, and plain values; JSON under --format json."""
    if opts.format == "json":
        import json

        shown: dict[str, Any] = {
            "schema_version": 1, "kind": done.kind, "file": done.file, "line": done.line, "path": done.path,
            "schema": done.schema, "dry_run": opts.dry_run,
        }  # fmt: skip
        output.echo(json.dumps(shown))
        return
    from sealpipe.cli.render.text_values import value_edit

    if not opts.dry_run:
        output.note(opts, value_edit(done))


def _near(opts: Common, slot: Slot) -> None:
    """A path that was new and is almost one that the schema had: a slip of the fingers, perhaps."""
    import difflib

    names = [name for name in slot.schema.walk.at(slot.path[:-1]).names() if name != slot.path[-1]]
    near = difflib.get_close_matches(str(slot.path[-1]), names, 1, cutoff=0.8)
    if near:
        output.note(opts, f"note    the schema also knows `{near[0]}` there; was that meant?")


def _sounds_plain(slot: Slot) -> None:
    """Raises UsageError [sounds-secret]: afterwards it would stand in clear in git, whatever is done then."""
    from sealpipe.editing.given import looks_like_a_secret

    if looks_like_a_secret(slot.shown):
        command = f"sealpipe set {slot.document.id} {slot.typed}"
        raise UsageError(
            "sounds-secret",
            f"{slot.shown} sounds like a secret, and the schema does not know it yet; nothing was written",
            hint=[f"{command} --secret", f"if it is none: {command} --plain"],
        )
