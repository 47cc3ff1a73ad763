"""The pins of this user: which root each project had when it was first met, and the highest version seen.

`SEALPIPE_TRUST`, where it is set, is the only pin. The file is `pins.json` in our configuration folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sealpipe.canonical import strict_json
from sealpipe.errors import TrustError
from sealpipe.files import locked, write_atomic
from sealpipe.homes import pins_path
from sealpipe.trust import Pin, RootChain, Trust, chain_for, parse_pins, pin_text

Environ = Mapping[str, str]


def pins_file(environ: Environ) -> Path:
    """Where the pins of this user are kept."""
    return Path(pins_path(environ))


def find_pins(environ: Environ, project: str) -> tuple[Pin, ...]:
    """SEALPIPE_TRUST, else what this user's file has for the project; () when nothing is known.

    Raises TrustError [malformed-pin] or [malformed-pins].
    """
    if environ.get("SEALPIPE_TRUST", "").strip():
        return parse_pins(environ["SEALPIPE_TRUST"])
    entry = _read(pins_file(environ)).get(project)
    if entry is None:
        return ()
    pin = parse_pins(entry["pin"])[0]
    return (pin._replace(min_version=entry["version"]),)


def need_pins(
    environ: Environ,
    trust: Trust,
    chain: RootChain | None,
    *,
    terminal: bool,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Pin, ...]:
    """The pins; at first use, on a terminal only, the repository's own root is shown and kept.

    Raises TrustError [no-pin] without a pin and without a terminal. Checks no signature.
    """
    found = find_pins(environ, trust.project)
    if found:
        return found
    if not terminal:
        raise no_pin()
    text = store_pin(environ, trust, chain)
    say(f"first use of this project here; its root is now pinned: {text}")
    say("compare it with an admin's: sealpipe trust show")
    return find_pins(environ, trust.project)


def no_pin() -> TrustError:
    return TrustError(
        "no-pin",
        "nothing here says which root keys this project must have",
        why=["without it, whoever can change the repository can also change who signs it"],
        hint=["export SEALPIPE_TRUST=st1-…   # the line that an admin gets from: sealpipe trust show"],
    )


def store_pin(environ: Environ, trust: Trust, chain: RootChain | None = None) -> str:
    """Keep the newest root and trust version of a project; returns the pin. Checks no signature.

    For who made the project, who saw its root at first use, or who replaces a pin knowingly.
    """
    text = pin_text(trust.project, chain_for(trust, chain).roots[-1])
    _change(environ, trust.project, lambda _: {"pin": text, "version": trust.version})
    return text


def note_version(environ: Environ, project: str, version: int) -> None:
    """Raise the highest version seen of a project that is pinned here; never lowers it.

    Call it with a version that the target branch has (`trusted.settled_version`): a change given up on a
    branch must not lock its author out.
    """
    known = _read(pins_file(environ)).get(project)
    if known is not None and known["version"] < version:
        _change(environ, project, lambda now: now and {**now, "version": max(now["version"], version)})


Entry = dict[str, Any]


def _change(environ: Environ, project: str, change: Callable[[Entry | None], Entry | None]) -> None:
    path = pins_file(environ)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(path.with_name(".pins.lock")):
        pins = _read(path)
        entry = change(pins.get(project))
        if entry is not None:
            pins[project] = entry
            text = json.dumps(pins, indent=1, sort_keys=True) + "\n"
            write_atomic(path, text.encode(), mode=0o600)


def _read(path: Path) -> dict[str, Entry]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    good = True
    found: object = None
    try:
        found = strict_json(data)
    except TrustError:
        good = False
    if not good or not isinstance(found, dict) or not all(map(_is_entry, found.values())):
        raise TrustError(
            "malformed-pins",
            f"{path} is not what sealpipe wrote",
            why=["it holds the root keys that you trust; nothing is trusted until it is repaired"],
            hint=[f"mv {path} {path}.broken   # then every project counts as new"],
        )
    return found


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"pin", "version"}
        and isinstance(entry["pin"], str)
        and type(entry["version"]) is int
        and 0 <= entry["version"] < 2**31
    )
