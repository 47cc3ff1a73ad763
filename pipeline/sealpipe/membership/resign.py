"""Signing again what stands: as a second signer, or because a change of admins left too few signatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sealpipe.canonical import strict_json, to_base64url
from sealpipe.crypto.keys import SigningKey
from sealpipe.crypto.signing import verify
from sealpipe.errors import TrustError
from sealpipe.keyrings import Keyring, check_keyring
from sealpipe.membership.keyring_edit import KeyringEdit, signed_keyring
from sealpipe.membership.root_change import complete, sign_link
from sealpipe.membership.signed_files import names_of
from sealpipe.membership.trust_edit import TrustEdit, need_trust, sign_trust
from sealpipe.model import Workspace
from sealpipe.trust import RootChain, Trust, chain_for, parse_trust


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


def co_sign(workspace: Workspace, keys: Sequence[SigningKey]) -> TrustEdit | None:
    """The same version with the signatures of `keys` added, links included; None when nothing is added.

    The only change that takes a document nobody else has signed: look at it first.
    """
    trust = need_trust(workspace)
    data = {**strict_json(trust.body), "signatures": _signature_data(trust)}
    signed = sign_trust(data, keys)
    chain = workspace.roots
    if chain is not None and chain.links:
        last = sign_link(trust.project, chain.roots[-2], chain.roots[-1], chain.links[-1], keys)
        chain = RootChain(chain.roots, (*chain.links[:-1], last))
    if signed["signatures"] == data["signatures"] and chain == workspace.roots:
        return None
    after = parse_trust(signed)
    return TrustEdit(
        trust=after,
        data=signed,
        chain=chain if chain != workspace.roots else None,
        complete=complete(after, chain_for(after, chain)),
    )


def _signature_data(trust: Trust) -> list[dict[str, str]]:
    return [{"by": name, "sig": to_base64url(signature)} for name, signature in trust.signatures]
