"""A machine's own reading key: made for one unit, boxed only the documents that the unit inherits."""

from __future__ import annotations

from collections.abc import Sequence

from sealpipe.crypto.keys import Identity, SigningKey, generate_private_key
from sealpipe.errors import UsageError
from sealpipe.frozen import field, frozen, replace
from sealpipe.keyrings import Reader
from sealpipe.membership.keyring_edit import (
    KeyringEdit,
    finish_keyring,
    need_admin,
    need_keyring,
    not_a_reader,
    with_machine_boxes,
)
from sealpipe.membership.root_change import today
from sealpipe.membership.trust_edit import need_trust
from sealpipe.model import Workspace
from sealpipe.opening import document_keys
from sealpipe.project import layer_ids
from sealpipe.released import Unit


@frozen
class Connected:
    """A new machine reader. `secret` is its private half: it goes where the service reads it, once."""

    name: str
    unit: Unit
    recipient: str
    secret: str = field(repr=False)
    keyrings: tuple[KeyringEdit, ...]
    documents: tuple[str, ...]  # "production/checkout", as granted


def connect(workspace: Workspace, unit: Unit, *, identity: Identity, keys: Sequence[SigningKey]) -> Connected:
    """A key named `<service>-N`, granted what the unit inherits, in parent environments too.

    Keys that the service has already stay until they are revoked. Raises UsageError for a unit or an
    environment that is not there, RefusedError [not-admin, not-a-reader].
    """
    trust = need_trust(workspace)
    inherited = (
        layer_ids(workspace.project, unit) if unit.environment in workspace.project.environments else ()
    )
    need_keyring(workspace, unit.environment)
    if not any(
        (known.environment, known.name) in inherited
        for known in workspace.documents
        if known.name == unit.service
    ):
        raise UsageError(
            "unknown-unit",
            f"there is no service {unit.service} in {unit.environment}",
            hint=[f"sealpipe add service {unit.service} --in {unit.environment}"],
        )
    private, secret = generate_private_key()
    name = machine_name(workspace, unit.service)
    reader = Reader(name, private.recipient, "machine", unit, None, today())
    edits: list[KeyringEdit] = []
    granted: list[str] = []
    for environment in dict.fromkeys(env for env, _ in inherited):
        keyring = workspace.keyrings.get(environment)
        documents = [d for env, d in inherited if env == environment and keyring and d in keyring.keys]
        if keyring is None or (not documents and environment != unit.environment):
            continue
        need_admin(trust, environment, keys)
        mine = document_keys(keyring, identity.read)
        if any(document not in mine for document in documents):
            raise not_a_reader(environment)
        added = replace(keyring, readers={**keyring.readers, name: reader})
        edits.append(finish_keyring(workspace, with_machine_boxes(workspace.project, added, mine), keys))
        granted += [f"{environment}/{document}" for document in documents]
    return Connected(name, unit, private.recipient, secret, tuple(edits), tuple(granted))


def machine_name(workspace: Workspace, service: str) -> str:
    """The first `<service>-N` that no keyring and no trust entry uses; revoked numbers may come again."""
    taken = {name for keyring in workspace.keyrings.values() for name in keyring.readers}
    taken |= set(workspace.trust.keys if workspace.trust else ())
    number = 1
    while f"{service}-{number}" in taken:
        number += 1
    return f"{service}-{number}"
