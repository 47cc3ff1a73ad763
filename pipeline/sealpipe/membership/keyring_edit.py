"""Changes of a keyring: making one, a document's key, granting a person. Each gives a signed `KeyringEdit`.

The repository must have been found trusted before (`checks.trusted.require_trusted`): a change signs
everything that stands in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sealpipe.checks.trust_history import highest_keyring
from sealpipe.checks.trusted import target_of, target_refs
from sealpipe.crypto.keys import Identity, PrivateKey, SigningKey, generate_private_key, parse_recipient
from sealpipe.crypto.sealing import box
from sealpipe.crypto.signing import verify
from sealpipe.editing.writing import FileEdit
from sealpipe.errors import RefusedError, TrustError, UsageError, Where
from sealpipe.frozen import field, frozen, replace
from sealpipe.keyrings import (
    PEOPLE,
    DocumentKey,
    Keyring,
    Reader,
    check_keyring,
    keyring_data,
    keyring_file,
    parse_keyring,
)
from sealpipe.membership.cards import Card
from sealpipe.membership.root_change import today
from sealpipe.membership.signed_files import (
    PAST_LIMIT,
    add_signatures,
    follow,
    names_of,
    registry_of,
    signed_edit,
)
from sealpipe.membership.trust_edit import TrustEdit, add_key, check_name, need_trust
from sealpipe.model import Workspace
from sealpipe.opening import DocumentKeys, document_keys, people_key
from sealpipe.project import Project, layer_ids
from sealpipe.trust import Trust

NOT_BUILT = b""


@frozen
class KeyringEdit:
    """A new version of a keyring, signed as far as the keys at hand go. Not yet written."""

    keyring: Keyring
    data: dict[str, Any] = field(repr=False)
    complete: bool  # whether the signatures suffice


@frozen
class Granted:
    """What `grant` changes: trust.yaml when the name was new, and a keyring for each environment."""

    trust: TrustEdit | None
    keyrings: tuple[KeyringEdit, ...]
    already: tuple[str, ...]  # environments that the name could read before


def keyring_header(environment: str) -> tuple[str, ...]:
    return (
        f"{environment}.keyring.yaml: who can open {environment}'s secrets. Written by `sealpipe keys …` and",
        "`sealpipe connect`; signed as a whole by the environment's admins.",
    )


def keyring_files(root: str, edits: Iterable[KeyringEdit]) -> tuple[FileEdit, ...]:
    """The edits for `editing.writing.apply`."""
    return tuple(
        signed_edit(
            root,
            keyring_file(edit.keyring.environment),
            edit.data,
            keyring_header(edit.keyring.environment),
        )
        for edit in edits
    )


# ---- a new one


def new_keyring(
    project: str, environment: str, documents: Iterable[str], people: Mapping[str, str], *, since: str = ""
) -> Keyring:
    """Version 1, unsigned: a key for each document, the people key boxed to each name's `age1…`.

    `finish_keyring` (or `sign_keyring` on its data) signs it. Raises UsageError, TrustError for a bad key.
    """
    shared, _ = generate_private_key()
    readers = {
        check_name(name): _person(name, read, shared, since or today()) for name, read in people.items()
    }
    empty = Keyring(project, environment, 1, (), shared.public, {}, readers, NOT_BUILT, "", ())
    return replace(empty, keys={name: make_document_key({PEOPLE: shared.public}) for name in documents})


def _person(name: str, read: str, people: PrivateKey, since: str) -> Reader:
    return Reader(name, read, "person", None, box(people, parse_recipient(read)), since)


def make_document_key(to: Mapping[str, bytes]) -> DocumentKey:
    """A new key pair, its private half boxed to each name's public key and kept nowhere else."""
    private, _ = generate_private_key()
    return DocumentKey(private.public, {name: box(private, public) for name, public in to.items()}, ())


def sign_keyring(data: Mapping[str, Any], trust: Trust, keys: Sequence[SigningKey]) -> dict[str, Any]:
    """The data with the signatures of those keys that are admins of its environment. Checks no threshold."""
    entry = trust.environments.get(data["environment"])
    return add_signatures(data, "KEYRING", registry_of(trust, entry.admins.of if entry else ()), keys)


def finish_keyring(
    workspace: Workspace, changed: Keyring, keys: Sequence[SigningKey], *, trust: Trust | None = None
) -> KeyringEdit:
    """`changed` as the next version, following what the repository has, and signed.

    `trust` is the document it will stand beside, the workspace's unless that changes too. Raises
    RefusedError [not-admin].
    """
    trust = trust or need_trust(workspace)
    need_admin(trust, changed.environment, keys)
    before = workspace.keyrings.get(changed.environment)
    version = highest_keyring(workspace, changed.environment, [*target_refs(workspace), "HEAD"]) + 1
    past: list[str] = []
    if before is not None:
        target = target_of(workspace) if len(before.past) >= PAST_LIMIT else None
        settled = target.keyrings.get(changed.environment) if target else None
        past = follow(before.past, before.digest, settled.digest if settled else "")
    data = keyring_data(replace(changed, version=version, past=tuple(past)))
    return signed_keyring(data, trust, keys)


def signed_keyring(data: Mapping[str, Any], trust: Trust, keys: Sequence[SigningKey]) -> KeyringEdit:
    """The data signed and read back, as others will read it."""
    signed = sign_keyring(data, trust, keys)
    keyring = parse_keyring(signed, keyring_file(data["environment"]))
    try:
        check_keyring(keyring, trust, verify)
        complete = True
    except TrustError:
        complete = False
    return KeyringEdit(keyring, signed, complete)


def need_keyring(workspace: Workspace, environment: str) -> Keyring:
    """Raises UsageError [unknown-environment, abstract-environment], TrustError [no-keyring]."""
    if environment not in workspace.project.environments:
        raise UsageError(
            "unknown-environment",
            f"there is no environment `{environment}`",
            why=[f"environments here: {', '.join(workspace.project.environments)}"],
        )
    if workspace.project.abstract(environment):
        raise UsageError(
            "abstract-environment", f"{environment} is a layer only: no secrets are sealed in it"
        )
    keyring = workspace.keyrings.get(environment)
    if keyring is None:
        raise TrustError(
            "no-keyring",
            f"{environment} has no keyring: nothing is sealed in it",
            where=Where(keyring_file(environment)),
        )
    return keyring


def need_admin(trust: Trust, environment: str, keys: Sequence[SigningKey]) -> None:
    """Raises RefusedError [not-admin] unless one of the keys signs this environment's keyring."""
    entry = trust.environments.get(environment)
    admins = entry.admins.of if entry else ()
    if not set(names_of(trust, keys)) & set(admins):
        raise RefusedError(
            "not-admin",
            f"your key does not sign the keyring of {environment}",
            why=[f"its admins are {', '.join(admins) or 'not named in trust.yaml'}"],
            hint=[f"ask one of them, or root: sealpipe trust add YOU --admin {environment}"],
        )


# ---- a document's key


def ensure_document_key(
    workspace: Workspace, environment: str, document: str, *, keys: Sequence[SigningKey]
) -> KeyringEdit | None:
    """A key for a document that has none yet, boxed to people and to the machines that inherit it.

    None when it has one. Needs an admin's signing key and no reading key. Raises RefusedError [not-admin].
    """
    keyring = need_keyring(workspace, environment)
    if document in keyring.keys:
        return None
    return finish_keyring(workspace, with_document(workspace.project, keyring, document), keys)


def with_document(project: Project, keyring: Keyring, document: str) -> Keyring:
    """The keyring with a new key for a document; signs nothing."""
    made = make_document_key(holders(project, keyring, document))
    return replace(keyring, keys={**keyring.keys, document: made})


def holders(project: Project, keyring: Keyring, document: str) -> dict[str, bytes]:
    """Who has a document's private key boxed: people, and the machines whose unit inherits it."""
    found = {PEOPLE: keyring.people_public}
    for name, reader in keyring.readers.items():
        if reader.unit is not None and inherits(project, reader, keyring.environment, document):
            found[name] = reader.public
    return found


def inherits(project: Project, reader: Reader, environment: str, document: str) -> bool:
    """Whether a machine's unit is merged from this document. A unit that is gone inherits nothing."""
    if reader.unit is None or reader.unit.environment not in project.environments:
        return False
    return (environment, document) in layer_ids(project, reader.unit)


def with_machine_boxes(project: Project, keyring: Keyring, mine: DocumentKeys) -> Keyring:
    """The keyring with every box that a machine should have and lacks, as far as `mine` opens."""
    keys = dict(keyring.keys)
    for document, key in keyring.keys.items():
        lacking = {n: p for n, p in holders(project, keyring, document).items() if n not in key.private}
        if lacking and document in mine:
            added = {name: box(mine[document][0], public) for name, public in lacking.items()}
            keys[document] = key._replace(private={**key.private, **added})
    return replace(keyring, keys=keys)


def missing_boxes(project: Project, keyring: Keyring) -> list[tuple[str, str]]:
    """(machine, document) pairs where a unit came to inherit a document after its machine was granted."""
    return [
        (name, document)
        for document, key in sorted(keyring.keys.items())
        for name in sorted(holders(project, keyring, document))
        if name not in key.private
    ]


# ---- granting


def grant(
    workspace: Workspace,
    name: str,
    environments: Sequence[str],
    *,
    identity: Identity,
    keys: Sequence[SigningKey],
    card: Card | None = None,
) -> Granted:
    """Let a person read environments, or give a machine the boxes it lacks there.

    A name that trust.yaml does not have is registered from its card, which only root can do. Raises
    RefusedError [not-admin, not-root, known-name, not-a-reader], UsageError [unknown-name].
    """
    trust_edit = _registered(workspace, name, card, keys)
    trust = trust_edit.trust if trust_edit else need_trust(workspace)
    edits: list[KeyringEdit] = []
    already: list[str] = []
    for environment in dict.fromkeys(environments):
        keyring = need_keyring(workspace, environment)
        need_admin(trust, environment, keys)
        changed = _granted(workspace, keyring, name, trust, identity)
        if changed == keyring:
            already.append(environment)
        else:
            edits.append(finish_keyring(workspace, changed, keys, trust=trust))
    return Granted(trust_edit, tuple(edits), tuple(already))


def _registered(
    workspace: Workspace, name: str, card: Card | None, keys: Sequence[SigningKey]
) -> TrustEdit | None:
    trust = need_trust(workspace)
    if card is not None and card.name != name:
        raise UsageError("bad-card", f"the card is {card.name}'s, not {name}'s")
    known = trust.keys.get(name)
    if known is not None and card is not None and (known.sign, known.read) != (card.sign, card.read):
        raise RefusedError(
            "known-name",
            f"{name} is registered with another key",
            hint=[
                f"a new laptop: sealpipe keys revoke {name} && sealpipe trust add {name} --replace --card …"
            ],
        )
    machine = any(name in keyring.readers for keyring in workspace.keyrings.values())
    if known is None and card is None and not machine:
        raise UsageError(
            "unknown-name",
            f"{name} is not registered, and no card was given",
            hint=[f"sealpipe keys grant {name} ENV --card 'sealpipe-card-1 {name} age1… ed25519:…'"],
        )
    if known is not None or card is None:
        return None
    return add_key(workspace, keys, name, sign_public=card.sign, read=card.read)


def _granted(workspace: Workspace, keyring: Keyring, name: str, trust: Trust, identity: Identity) -> Keyring:
    people = people_key(keyring, identity.read)
    if people is None:
        raise not_a_reader(keyring.environment)
    reader = keyring.readers.get(name)
    if reader is not None and reader.kind == "machine":
        return with_machine_boxes(workspace.project, keyring, document_keys(keyring, identity.read))
    entry = trust.keys.get(name)
    if entry is None or entry.read is None:
        raise UsageError("unknown-name", f"{name} has no reading key", hint=["sealpipe trust show"])
    if reader is not None and reader.read == entry.read:
        return keyring
    if reader is not None:
        raise RefusedError(
            "known-name",
            f"{name} reads {keyring.environment} with another key",
            hint=[f"sealpipe keys revoke {name} {keyring.environment}"],
        )
    return replace(keyring, readers={**keyring.readers, name: _person(name, entry.read, people, today())})


def not_a_reader(environment: str) -> RefusedError:
    return RefusedError(
        "not-a-reader",
        f"you cannot read {environment}, so you cannot let anybody else read it",
        hint=[f"ask somebody who can: sealpipe keys list {environment}"],
    )
