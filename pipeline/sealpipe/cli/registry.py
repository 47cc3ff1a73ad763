"""What commands there are: one literal table, read by `--help`, dispatch, completion and did-you-mean.

A line is a command; `module` is a file of this folder that exports `command`, imported only when it is
run. Nothing here imports click, so `--version` and `--help` cost little more than Python itself.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in main.py
if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealpipe.cli.declared import Command

    # file of this folder, line in the help, subcommands
    Entry = tuple[str, str, tuple[str, ...]]

GROUPS: dict[str, dict[str, Entry]] = {
    "Start": {
        "demo": ("start.demo", "A tour in a temporary folder", ()),
        "init": ("start.init", "A repository here (--github for its workflows)", ()),
        "add": ("start.add", "A service or an environment, with what it needs", ("service", "environment")),
    },
    "Write": {
        "set": ("write.set_", "Set a value; asks without echo where the schema says secret", ()),
        "get": ("write.get", "One value", ()),
        "unset": ("write.unset", "Remove a value from a layer", ()),
        "edit": ("write.edit", "Open a file in your editor with its secrets readable", ()),
        "seal": ("write.seal", "Seal the plaintext that stands at secret paths", ()),
        "mv": ("write.mv", "Move or rename a value, secrets re-sealed", ()),
        "adopt": ("write.adopt", "Write what is published into the files", ()),
    },
    "Look": {
        "validate": ("look.validate", "Layers, schemas, secrets, signatures; no key needed", ()),
        "render": ("look.render_", "The merged configuration of a service", ()),
        "explain": ("look.explain", "Where a value comes from and what it is elsewhere", ()),
        "diff": ("look.diff", "Between refs, environments and what is published", ()),
    },
    "Ship": {
        "plan": ("ship.plan", "What publish would change", ()),
        "publish": ("ship.publish", "Sign and publish", ()),
        "rollback": ("ship.rollback", "Publish the release before, and hold", ()),
        "approve": ("ship.approve", "Sign a plan that needs a second person", ()),
        "status": ("ship.status", "Every service in every environment; drift, holds", ()),
        "history": ("ship.history", "Releases of a service", ()),
        "verify": ("ship.verify", "Read everything back: signatures, chunks, mirrors", ()),
    },
    "People and keys": {
        "keys": (
            "people.keys",
            "new, list, audit, grant, revoke, renew",
            ("new", "list", "audit", "grant", "revoke", "renew"),
        ),
        "trust": (
            "people.trust",
            "show, add, remove, admins, sign",
            ("show", "add", "remove", "admins", "sign"),
        ),
    },
    "Services": {
        "connect": ("services.connect", "What a service needs to start: URL, trust, its own key", ()),
        "dev": ("services.dev", "Start a program on the work tree, rewritten on save", ()),
        "run": ("services.run", "Start a program with its published configuration (--watch)", ()),
        "check": ("services.check", "Would this settings class start on each environment?", ()),
        "watch": ("services.watch", "Releases as JSON lines", ()),
        "schema": (
            "services.schema",
            "infer, export, check, compat",
            ("infer", "export", "check", "compat"),
        ),
    },
    "Help": {
        "doctor": ("help.doctor", "Keys, repository and stores, with what to do", ()),
        "completion": ("help.completion", "For bash, zsh, fish", ("bash", "zsh", "fish")),
    },
}

COMMANDS: dict[str, Entry] = {name: entry for group in GROUPS.values() for name, entry in group.items()}

# Options that every command takes, before or after its name.
COMMON_VALUES = {"-C": "folder", "--format": "format", "--color": "color"}
COMMON_FLAGS = {
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "verbose",
    "--verbose": "verbose",
    "-y": "yes",
    "--yes": "yes",
    "--dry-run": "dry_run",
}

_HEAD = """\
Configuration from a pull request to a running service.

  sealpipe demo                                    see all of it in ten seconds
  sealpipe set dev/checkout db.pool_max 20         change a value
  sealpipe plan && sealpipe publish dev            what would change; do it
"""
_FOOT = """\
  -C DIR · --format text|json|… · -q · -v · --color auto|always|never        sealpipe COMMAND --help
  Exit: 0 done · 1 failed · 2 usage · 3 differences · 4 invalid · 5 refused · 6 not trusted · 130 interrupted\
"""


def help_text() -> str:
    """The whole of `sealpipe --help`."""
    parts = [_HEAD]
    for group, entries in GROUPS.items():
        parts.append(group)
        parts += [f"  {name:<13}{entry[1]}" for name, entry in entries.items()]
        parts.append("")
    return "\n".join([*parts, _FOOT])


def load_command(name: str) -> Command:
    """Import a command's file and give its command. Raises KeyError for an unknown name."""
    import sys

    module = f"sealpipe.cli.{COMMANDS[name][0]}"
    __import__(module)  # importlib brings warnings
    found: Command = sys.modules[module].command
    return found


def take_common(arguments: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """Split the common options that stand before a command from the rest.

    Returns what was given and the arguments from the first one that is no common option. Raises
    ValueError naming an option whose value is missing.
    """
    given: dict[str, object] = {}
    at = 0
    while at < len(arguments):
        word = arguments[at]
        name, equals, value = word.partition("=")
        if word in COMMON_FLAGS:
            given[COMMON_FLAGS[word]] = True
        elif name in COMMON_VALUES:
            if not equals:
                at += 1
                if at == len(arguments):
                    raise ValueError(f"{name} needs a value")
                value = arguments[at]
            given[COMMON_VALUES[name]] = value
        elif word.startswith("-C") and len(word) > 2:
            given["folder"] = word[2:]
        else:
            break
        at += 1
    return given, list(arguments[at:])
