"""`sealpipe init`: a repository of one's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sealpipe.cli import options, output
from sealpipe.cli.options import Common
from sealpipe.errors import UsageError

if TYPE_CHECKING:
    from sealpipe.crypto.keys import Identity
    from sealpipe.editing.starting import Start

_EXAMPLES = (
    "sealpipe init",
    "sealpipe init config --github             with its GitHub workflows",
    "sealpipe init --key ~/keys/mine.txt       an age key that you have",
)


@options.command("init", examples=_EXAMPLES)
@options.argument("folder", required=False, default=".", metavar="[DIR]")
@options.option("--key", "key", metavar="FILE", help="Your age key; without it one is found or made.")
@options.option("--name", metavar="NAME", help="What to call you in trust.yaml.")
@options.option("--github", is_flag=True, help="Add workflows: check pull requests, publish from main.")
@options.common(writes=True)
def command(opts: Common, *, folder: str, key: str | None, name: str | None, github: bool) -> None:
    """Make a configuration repository: sealpipe.yaml, trust/, environments base and dev, git's files.

    Your key is your age key if you have one (sops' is found), otherwise a new one in your configuration
    folder, which nobody else can read. Existing files are never overwritten; in a repository that is here
    already, --github writes its workflows anew.
    """
    from sealpipe.editing.starting import refuse_existing, start
    from sealpipe.editing.writing import apply
    from sealpipe.trees import PROJECT_FILE

    root = Path(folder).resolve()
    if root.exists() and not root.is_dir():
        raise UsageError("usage", f"{folder} is no folder")
    if github and (root / PROJECT_FILE).is_file():
        _workflows_anew(opts, root)
        return
    refuse_existing(root)
    identity, found = _key(key, dry_run=opts.dry_run)
    made = start(root, name or _person(root), identity, extra=_github() if github else None)
    if opts.dry_run:
        output.note(opts, [f"would write  {edit.file}" for edit in made.edits if edit.before != edit.after])
        return
    root.mkdir(parents=True, exist_ok=True)
    apply(str(root), made.edits)
    _install(made)
    _pin(made)
    output.note(opts, _said(folder, root, found, made, github=github, elsewhere=_elsewhere(key)))


def _key(explicit: str | None, *, dry_run: bool) -> tuple[Identity, str]:
    """The person's key and a sentence about it. Makes one where there is none."""
    from sealpipe.crypto.keys import generate_identity
    from sealpipe.keysource import key_file, locate, write_key

    found = locate(os.environ, explicit=explicit)
    if found is not None:
        return found.identities[0], f"found your age key {found.source}; using it (nothing new to keep safe)"
    identity, text = generate_identity()
    if dry_run:
        return identity, f"would make your key {key_file(os.environ)}"
    place = write_key(os.environ, text, identity.read.recipient)
    return identity, f"made your key {place} (only you can read it; keep a copy in a safe place)"


def _elsewhere(key: str | None) -> str:
    """What later commands need to find a key that was named with --key; "" when they find it anyway."""
    import shlex

    from sealpipe.keysource import locate

    if key is None:
        return ""
    named, found = locate(os.environ, explicit=key), locate(os.environ)
    if named and found and found.identities[0].read.recipient == named.identities[0].read.recipient:
        return ""
    return f"export SEALPIPE_KEY_FILE={shlex.quote(str(Path(key).expanduser().resolve()))}"


def _person(root: Path) -> str:
    from sealpipe import git
    from sealpipe.editing.starting import login_name, person_name

    there = root
    while not there.is_dir():
        there = there.parent
    named = git.user_name(there) if git.version() else ""
    return person_name(named, login_name())


def _github() -> dict[str, str]:
    """The workflow files of a repository as `init` makes it."""
    from sealpipe.editing.starting import new_project
    from sealpipe.github.workflows import workflow_files

    return workflow_files(new_project())


def _workflows_anew(opts: Common, root: Path) -> None:
    """GitHub's files of a repository, for the environments that it has by now. CODEOWNERS is people's own."""
    from sealpipe.cli.workspaces import write
    from sealpipe.editing.writing import text_edit
    from sealpipe.github.workflows import workflow_files
    from sealpipe.stages.load import load
    from sealpipe.trees import WorkTree

    edits = []
    for path, text in workflow_files(load(WorkTree(str(root))).project).items():
        before = (root / path).read_text(encoding="utf-8") if (root / path).is_file() else None
        if before is None or not path.endswith("CODEOWNERS"):
            edits.append(text_edit(path, before, text))
    changed = [edit.file for edit in edits if edit.before != edit.after]
    write(opts, str(root), edits)
    if not changed:
        output.note(opts, "unchanged  the workflows fit sealpipe.yaml")
    elif not opts.dry_run:
        output.note(opts, f"wrote      {' '.join(changed)}   (commit them)")


def _install(made: Start) -> None:
    from sealpipe.files import write_atomic

    if made.hook is not None:
        made.hook.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(made.hook, made.hook_text.encode(), mode=0o755)


def _pin(made: Start) -> None:
    from sealpipe.pins import store_pin

    store_pin(os.environ, made.trust)


def _said(folder: str, root: Path, key: str, made: Start, *, github: bool, elsewhere: str) -> list[str]:
    written = {edit.file for edit in made.edits if edit.before != edit.after}
    git_files = [file for file in (".gitattributes", ".gitignore") if file in written]
    second = " ".join(git_files)
    if made.hook is not None:
        second += " · " if second else ""
        second += "a pre-commit hook that runs `sealpipe validate --changed-since HEAD`"
    lines = [
        f"key        {key}",
        "wrote      sealpipe.yaml · trust/ (you are admin and publisher) · "
        "environments/base, environments/dev",
    ]
    if second:
        lines.append(f"           {second}")
    if github:
        lines.append(
            f"           {' '.join(sorted(file for file in written if file.startswith('.github/')))}"
        )
    if made.no_hook:
        lines.append(f"note       {made.no_hook}")
    go = "" if root == Path.cwd() else f"cd {folder}"
    steps = [
        *([go] if go else []),
        *([elsewhere] if elsewhere else []),
        "sealpipe add service checkout --in dev",
        "sealpipe set dev/checkout db.password --secret",
        "sealpipe publish dev",
        "sealpipe run dev/checkout -- python app.py",
    ]
    lines += [f"{'next' if at == 0 else '':<11}{step}" for at, step in enumerate(steps)]
    return lines
