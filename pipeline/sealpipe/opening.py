"""Opening sealed values with a reader's key: boxes of a keyring, and the values of a document.

Who signed the keyring is not checked here; that each box fits the public key it stands for is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sealpipe.crypto.keys import PrivateKey
from sealpipe.crypto.sealing import MOVED, open_value, unbox, unreadable
from sealpipe.errors import TrustError
from sealpipe.frozen import NamedTuple
from sealpipe.keyrings import PEOPLE, Keyring, Reader
from sealpipe.model import Document, Sealed, Workspace
from sealpipe.paths import Concrete, Member, Path, show_path
from sealpipe.released import SealedAt
from sealpipe.tokens import MARK, parse_token, place, place_tag

DocumentKeys = Mapping[str, tuple[PrivateKey, ...]]
"""Document -> its private keys, current first, then previous ones."""


def reader_of(keyring: Keyring, identity: PrivateKey) -> Reader | None:
    """The entry of the keyring that has this key."""
    return next((r for r in keyring.readers.values() if r.read == identity.recipient), None)


def people_key(keyring: Keyring, identity: PrivateKey) -> PrivateKey | None:
    """The people key, for a person among the readers. Raises TrustError [foreign-box]."""
    reader = reader_of(keyring, identity)
    if reader is None or reader.box is None:
        return None
    return unbox(reader.box, identity, expect_public=keyring.people_public)


def document_keys(
    keyring: Keyring, identity: PrivateKey, only: Collection[str] | None = None
) -> DocumentKeys:
    """What this key opens, of the documents in `only`: empty for who is no reader. Raises TrustError
    [foreign-box]."""
    reader = reader_of(keyring, identity)
    people = people_key(keyring, identity)
    found: dict[str, tuple[PrivateKey, ...]] = {}
    for document, key in keyring.keys.items():
        if only is not None and document not in only:
            continue
        if people is not None and PEOPLE in key.private:
            current = unbox(key.private[PEOPLE], people, expect_public=key.public)
        elif reader is not None and reader.name in key.private:
            current = unbox(key.private[reader.name], identity, expect_public=key.public)
        else:
            continue
        older = [unbox(box, current, expect_public=public) for public, box in key.previous]
        found[document] = (current, *older)
    return found


def open_token(text: str, place_bytes: bytes, keys: Sequence[PrivateKey]) -> Any:
    """The value, with whichever of a document's keys it is sealed for.

    Raises TrustError [unreadable-secret], also for what was sealed for another place, or [no-reader] when
    none of the keys is the one.
    """
    token = parse_token(text)
    for key in keys:
        if key.key_id == token.key_id:
            return open_value(token, place_bytes, key)
    if token.place_tag != place_tag(place_bytes):
        raise unreadable(MOVED)  # whose key it has matters less: it does not belong here
    raise TrustError(
        "no-reader",
        "your key does not open this sealed value",
        why=["you are no reader of its document, or it is sealed for a key that the keyring does not have"],
        hint=["sealpipe keys list"],
    )


def open_at(at: SealedAt, path: Path, text: str, keys: Sequence[PrivateKey]) -> Any:
    """As `open_token`, of what stands at a place of a document: what is raised names the command that sets
    it anew."""
    try:
        return open_token(text, place(at.environment, at.document, path), keys)
    except TrustError as error:
        problem = error
    if problem.word in ("unreadable-secret", "malformed-secret"):
        import shlex

        hint = [f"sealpipe set {at} {shlex.quote(show_path(path))}"]
        raise TrustError(
            problem.word, problem.finding.what, path=show_path(path), why=problem.finding.why, hint=hint
        )
    raise problem


def open_sealed(workspace: Workspace, sealed: Sealed, identity: PrivateKey) -> Any:
    """The value of a merged configuration's secret. Raises TrustError as `open_token`.

    Checks neither the keyring's signature nor that the value fits its schema.
    """
    environment, name = sealed.document
    keyring = workspace.keyrings.get(environment)
    keys = document_keys(keyring, identity, [name]).get(name, ()) if keyring else ()
    return open_token(sealed.token, place(environment, name, sealed.path), keys)


class SealedIn(NamedTuple):
    """A sealed value as it stands in one document. `typed` is None when its place tag fits no path there."""

    path: Concrete
    token: str
    typed: Path | None


def sealed_in(document: Document) -> Iterator[SealedIn]:
    """Every sealed value of a document, keylessly and without its schema.

    The merge key of a list element is found by the place tag, which names it. A token that was moved,
    or is malformed, comes with `typed` None.
    """
    for path, text in _tokens(document.values, ()):
        yield SealedIn(path, text, _typed(document, path, text))


def _tokens(node: Any, path: Concrete) -> Iterator[tuple[Concrete, str]]:
    if isinstance(node, str):
        if node.startswith(MARK):
            yield path, node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _tokens(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _tokens(value, (*path, index))


def _typed(document: Document, path: Concrete, text: str) -> Path | None:
    try:
        tag = parse_token(text).place_tag
    except TrustError:
        return None
    for candidate in _candidates(document.values, path):
        if place_tag(place(document.id.environment, document.id.name, candidate)) == tag:
            return candidate
    return None


def _candidates(node: Any, path: Concrete) -> Iterator[Path]:
    if not path:
        yield ()
        return
    step, rest = path[0], path[1:]
    heads: list[str | Member]
    if isinstance(step, str):
        heads = [step]
    elif isinstance(node[step], Mapping):
        heads = [
            Member(field, value)
            for field, value in node[step].items()
            if isinstance(value, str | int | bool) and not str(value).startswith(MARK)
        ]
    else:
        heads = []
    for tail in _candidates(node[step], rest) if heads else ():
        for head in heads:
            yield (head, *tail)
