"""What a reader can open, and what it ever could: the list to work through after a revocation.

Looks at every version of the keyrings and documents that git has. Needs no key and shows no value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sealpipe import git
from sealpipe.errors import SealpipeError, UsageError
from sealpipe.frozen import NamedTuple
from sealpipe.keyrings import Keyring, keyring_file, parse_keyring
from sealpipe.model import Document, DocumentId, Workspace
from sealpipe.opening import sealed_in
from sealpipe.paths import show_path
from sealpipe.tokens import key_id, parse_token

Texts = Mapping[str, Sequence[bytes]]


class Exposed(NamedTuple):
    """A secret that a reader could open. `present`: it still stands in the file, whoever can read it now."""

    document: DocumentId
    path: str
    present: bool


def exposure(workspace: Workspace, name: str) -> tuple[Exposed, ...]:
    """Every secret that a reader of this name could ever open, as far as git's history goes.

    A value that was changed since counts too: the old one is in the history. Signatures of old keyrings
    are not asked for: whoever stood in one may have had the key. Raises UsageError [unknown-reader] for a
    name that stood in none: an empty list would say that it could open nothing.
    """
    found: dict[tuple[DocumentId, str], bool] = {}
    texts = _texts(workspace)
    _check_known(workspace, name, texts)
    for environment in workspace.project.environments:
        opened = _opened(workspace, environment, name, texts)
        for document_name, ids in opened.items():
            document_id = DocumentId(environment, document_name)
            now = workspace.documents.get(document_id)
            standing = {show_path(sealed.path) for sealed in sealed_in(now)} if now else set()
            for version in _versions(workspace, document_id, texts):
                for sealed in sealed_in(version):
                    if _key_of(sealed.token) in ids:
                        path = show_path(sealed.typed or sealed.path)
                        found[document_id, path] = show_path(sealed.path) in standing
    return tuple(
        Exposed(document_id, path, present) for (document_id, path), present in sorted(found.items())
    )


def _check_known(workspace: Workspace, name: str, texts: Texts) -> None:
    known = {
        reader
        for environment in workspace.project.environments
        for keyring in _keyrings(workspace, environment, texts)
        for reader in keyring.readers
    }
    if name not in known:
        raise UsageError(
            "unknown-reader",
            f"no keyring ever named {name}",
            why=[f"readers were {', '.join(sorted(known)) or 'none'}"],
            hint=["sealpipe keys list"],
        )


def stale(workspace: Workspace) -> tuple[Exposed, ...]:
    """Values sealed for another key than their document's current one."""
    found = []
    for document_id, document in sorted(workspace.documents.items()):
        keyring = workspace.keyrings.get(document_id.environment)
        key = keyring.keys.get(document_id.name) if keyring else None
        current = key_id(key.public) if key else b""
        found += [
            Exposed(document_id, show_path(sealed.typed or sealed.path), present=True)
            for sealed in sealed_in(document)
            if _key_of(sealed.token) != current
        ]
    return tuple(found)


def _key_of(token: str) -> bytes | None:
    try:
        return parse_token(token).key_id
    except SealpipeError:
        return None


def _opened(workspace: Workspace, environment: str, name: str, texts: Texts) -> Mapping[str, set[bytes]]:
    """Document -> ids of its keys that the name had in any version of the keyring."""
    found: dict[str, set[bytes]] = {}
    for keyring in _keyrings(workspace, environment, texts):
        reader = keyring.readers.get(name)
        if reader is None:
            continue
        for document, key in keyring.keys.items():
            if reader.kind == "person" or name in key.private:
                ids = found.setdefault(document, set())
                ids.add(key_id(key.public))
                ids.update(key_id(public) for public, _ in key.previous)
    return found


def _keyrings(workspace: Workspace, environment: str, texts: Texts) -> Iterator[Keyring]:
    if environment in workspace.keyrings:
        yield workspace.keyrings[environment]
    file = keyring_file(environment)
    for text in texts.get(file, ()):
        keyring = _quietly(lambda data: parse_keyring(data, file), text, file)
        if isinstance(keyring, Keyring):
            yield keyring


def _versions(workspace: Workspace, document_id: DocumentId, texts: Texts) -> Iterator[Document]:
    if document_id in workspace.documents:
        yield workspace.documents[document_id]
    file = f"environments/{document_id.environment}/{document_id.name}.yaml"
    for text in texts.get(file, ()):
        values = _quietly(lambda data: data, text, file)
        if isinstance(values, dict):
            yield Document(document_id, file, "", values)


def _texts(workspace: Workspace) -> Texts:
    """All that git has of keyrings and documents, by file."""
    if not workspace.commit.commit:
        return {}
    folders = ("trust", "environments")
    return {
        file: texts
        for folder in folders
        for file, texts in git.histories(workspace.root, ["HEAD"], folder).items()
    }


def _quietly(parse: Callable[[Any], object], text: bytes, file: str) -> object:
    from sealpipe.documents.read import read_yaml

    try:
        return parse(read_yaml(text, file=file))
    except SealpipeError:
        return None
