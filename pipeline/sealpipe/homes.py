"""Where a user's own files are, as text: who only looks there needs no pathlib."""

from __future__ import annotations

from collections.abc import Mapping

Environ = Mapping[str, str]


def config_home(environ: Environ) -> str:
    """The folder of everybody's configuration: `~/.config`, or XDG_CONFIG_HOME."""
    home = environ.get("HOME") or "/nonexistent"
    return environ.get("XDG_CONFIG_HOME") or f"{home}/.config"


def config_folder(environ: Environ) -> str:
    """Ours in it."""
    return f"{config_home(environ)}/sealpipe"


def pins_path(environ: Environ) -> str:
    """Where `pins` keeps which root each project had."""
    return f"{config_folder(environ)}/pins.json"
