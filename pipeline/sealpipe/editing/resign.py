"""Signing keyrings again whose signatures no longer suffice: after a change of admins, or as a second one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sealpipe.canonical import strict_json, to_base64url
from sealpipe.crypto.keys import SigningKey
from sealpipe.crypto.signing import verify
from sealpipe.editing.keyring_edit import KeyringEdit, signed_keyring
from sealpipe.editing.signed_files import names_of
from sealpipe.errors import TrustError
from sealpipe.keyrings import Keyring, check_keyring
from sealpipe.model import Workspace
from sealpipe.trust import Trust


def resign_keyrings(
    workspace: Workspace, trust: Trust, keys: Sequence[SigningKey]
) -> tuple[tuple[KeyringEdit, ...], tuple[str, ...]]:
    """Keyrings that lack signatures under `trust`, with those of `keys` added; and what still waits.

    The bodies stay as they are: look at them first. A keyring that others must sign is only named.
    """
    edits: list[KeyringEdit] = []
    waiting: list[str] = []
    for environment, keyring in sorted(workspace.keyrings.items()):
        entry = trust.environments.get(environment)
        if entry is None or keyring.project != trust.project or keyring.environment != environment:
            continue  # foreign: never signed into place
        if is_signed(keyring, trust):
            continue
        edit = None
        if set(names_of(trust, keys)) & set(entry.admins.of):
            edit = signed_keyring(keyring_file_data(keyring), trust, keys)
            if edit.keyring.signatures != keyring.signatures:
                edits.append(edit)
        if edit is None or not edit.complete:
            waiting.append(environment)
    return tuple(edits), tuple(waiting)


def is_signed(keyring: Keyring, trust: Trust) -> bool:
    """Whether the environment's admins, as `trust` has them, signed it."""
    try:
        check_keyring(keyring, trust, verify)
    except TrustError:
        return False
    return True


def keyring_file_data(keyring: Keyring) -> Mapping[str, Any]:
    """The file's data, signatures included, exactly as it was signed."""
    data: dict[str, Any] = strict_json(keyring.body)
    data["signatures"] = [{"by": name, "sig": to_base64url(sig)} for name, sig in keyring.signatures]
    return data
