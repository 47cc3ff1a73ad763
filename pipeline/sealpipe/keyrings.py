"""Who can open what: the keyring of an environment. Pure values and rules; opens nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sealpipe.canonical import canonical, labelled, to_base64url
from sealpipe.crypto import bech32
from sealpipe.crypto.points import check_point
from sealpipe.errors import TrustError, Where
from sealpipe.fields import NAME, Fields
from sealpipe.frozen import NamedTuple, field, frozen
from sealpipe.released import Stanzas, Unit
from sealpipe.tokens import key_id
from sealpipe.trust import Role, Trust, Verify, named_pairs, signers

BOX = 80  # ephemeral key 32, MAC 16, private key 32
PEOPLE = "people"


class DocumentKey(NamedTuple):
    """A document's key pair: the private half boxed to `people` and to machines, older ones to it."""

    public: bytes
    private: Mapping[str, bytes]  # reader's name or "people" -> box
    previous: tuple[tuple[bytes, bytes], ...]  # newest first: (public, private boxed to the current public)


class Reader(NamedTuple):
    """A person (has the people key) or a machine of one unit (has boxes under `keys`)."""

    name: str
    read: str  # age1…
    kind: str  # person or machine
    unit: Unit | None
    box: bytes | None  # the people private key, for a person
    since: str

    @property
    def public(self) -> bytes:
        return bech32.decode("age", self.read)


@frozen
class Keyring:
    """trust/<environment>.keyring.yaml as a value. `body` is what is signed; parsing proves no signature."""

    project: str
    environment: str
    version: int
    past: tuple[str, ...]
    people_public: bytes
    keys: Mapping[str, DocumentKey]
    readers: Mapping[str, Reader]
    body: bytes = field(repr=False)
    digest: str
    signatures: tuple[tuple[str, bytes], ...] = field(repr=False)


def keyring_file(environment: str) -> str:
    return f"trust/{environment}.keyring.yaml"


def parse_keyring(data: Any, file: str) -> Keyring:
    """Raises TrustError [malformed-keyring]. Checks form and that keys are good points; no signature."""
    fields = Fields(data, "keyring", file)
    fields.only(
        required=("format", "project", "environment", "version", "people", "keys", "readers"),
        optional=("past", "signatures"),
    )
    fields.format_one()
    people = fields.inner("people", fields.data["people"])
    people.only(required=("public",))
    readers = {name: _reader(fields, name, entry) for name, entry in fields.items("readers")}
    _refuse_repeated(fields, readers)
    keys = {
        document: _document_key(fields.inner(f"keys.{document}", entry), readers)
        for document, entry in fields.inner("keys", fields.data["keys"]).data.items()
        if _document_name(fields, document)
    }
    try:
        body = canonical({key: value for key, value in fields.data.items() if key != "signatures"})
    except ValueError:
        body = b""
    if not body:
        raise fields.wrong("", "must be plain data")
    return Keyring(
        project=fields.project(),
        environment=fields.name(fields.text("environment")),
        version=fields.number("version", 1),
        past=fields.past(),
        people_public=_point(people, "public"),
        keys=keys,
        readers=readers,
        body=body,
        digest=keyring_digest(body),
        signatures=fields.signatures(),
    )


def keyring_digest(body: bytes) -> str:
    """Hex digest of a keyring's canonical bytes; what `past` names."""
    return labelled(32, "sealpipe.keyring.1", body).hex()


def _document_name(fields: Fields, document: str) -> bool:
    if not NAME.fullmatch(document.removeprefix("_")):
        raise fields.wrong("keys", "holds a name that is no document's")
    return True


def _point(fields: Fields, field: str) -> bytes:
    public = fields.public(field, "x25519")
    try:
        return check_point(public)
    except TrustError:
        pass
    raise fields.wrong(field, "is not a key that anything may be sealed to")


def _reader(fields: Fields, name: str, data: Any) -> Reader:
    entry = fields.inner(f"readers.{name}", data)
    entry.only(required=("read", "kind"), optional=("unit", "box", "since"))
    if name == PEOPLE:
        raise entry.wrong("", "is a reserved name")
    read = entry.text("read")
    try:
        good = read == read.lower() and check_point(bech32.decode("age", read))
    except (ValueError, TrustError):
        good = b""
    if not good:
        raise entry.wrong("read", "must be an age1… public key")
    kind = entry.text("kind")
    person = kind == "person"
    if (
        kind not in ("person", "machine")
        or person != ("box" in entry.data)
        or person == ("unit" in entry.data)
    ):
        raise entry.wrong("kind", "must be person (with `box`) or machine (with `unit`)")
    unit = None
    if not person:
        environment, _, service = entry.text("unit").partition("/")
        unit = Unit(entry.name(environment), entry.name(service))
    box = entry.raw("box", BOX) if person else None
    return Reader(name, read, kind, unit, box, entry.text("since", ""))


def _refuse_repeated(fields: Fields, readers: Mapping[str, Reader]) -> None:
    seen: dict[str, str] = {}
    for name, reader in readers.items():
        if reader.read in seen:
            raise fields.wrong(f"readers.{name}", f"is the same key as {seen[reader.read]}")
        seen[reader.read] = name


def _document_key(fields: Fields, readers: Mapping[str, Reader]) -> DocumentKey:
    fields.only(required=("public", "private"), optional=("previous",))
    private = fields.inner("private", fields.data["private"])
    for name in private.data:
        if name != PEOPLE and (name not in readers or readers[name].kind != "machine"):
            raise private.wrong(str(name), "is neither `people` nor a machine among the readers")
    boxes = {name: private.raw(name, BOX) for name in private.data}
    previous: list[tuple[bytes, bytes]] = []
    for index, item in enumerate(fields.list("previous", 64)):
        entry = fields.inner(f"previous[{index}]", item)
        entry.only(required=("public", "private"))
        previous.append((_point(entry, "public"), entry.raw("private", BOX)))
    return DocumentKey(_point(fields, "public"), boxes, tuple(previous))


def check_keyring(keyring: Keyring, trust: Trust, verify: Verify, *, environment: str | None = None) -> None:
    """Raises TrustError [foreign-keyring] for another project's or environment's, [unsigned-keyring]
    unless the environment's admins signed it. `trust` must have been checked before.

    `environment` is the one whose file this is. Does not check version or `past`.
    """
    where = Where(keyring_file(environment or keyring.environment))
    if keyring.project != trust.project or (environment or keyring.environment) != keyring.environment:
        raise TrustError(
            "foreign-keyring",
            "this keyring belongs to another project or environment",
            where=where,
            why=["what is sealed with it would be readable by that one's readers"],
            hint=[f"git log -- {where}"],
        )
    entry = trust.environments.get(keyring.environment)
    admins = entry.admins if entry else Role(1, ())
    allowed = {key for name in admins.of if (key := trust.keys[name].sign) is not None}
    pairs = named_pairs(trust.keys, keyring.signatures)
    problem: TrustError | None = None
    signed: frozenset[bytes] = frozenset()
    try:
        signed = signers("KEYRING", keyring.body, pairs, allowed, verify)
    except TrustError as error:
        problem = error
    if problem is not None or len(signed) < admins.need:
        detail = problem.finding.what if problem else f"{len(signed)} of the {admins.need} signatures needed"
        raise TrustError(
            "unsigned-keyring",
            f"the keyring of {keyring.environment} is not signed by its admins: {detail}",
            where=where,
            why=["a reader may have been added or taken away by hand"],
            hint=["an admin of the environment, after looking at the change: sealpipe trust sign"],
        )


def stanzas_for(keyrings: Mapping[str, Keyring], unit: Unit, documents: Iterable[tuple[str, str]]) -> Stanzas:
    """The boxes that the machine readers of `unit` need for these (environment, document) pairs.

    Goes into the draft: `"ENV/DOC"` -> document key id -> reader key id -> box.
    """
    found: dict[str, dict[str, dict[str, str]]] = {}
    for environment, document in documents:
        keyring = keyrings.get(environment)
        key = keyring.keys.get(document) if keyring else None
        if keyring is None or key is None:
            continue
        boxes = {
            key_id(reader.public).hex(): to_base64url(key.private[name])
            for name, reader in sorted(keyring.readers.items())
            if reader.unit == unit and name in key.private
        }
        if boxes:
            found[f"{environment}/{document}"] = {key_id(key.public).hex(): boxes}
    return found


def keyring_data(keyring: Keyring) -> dict[str, Any]:
    """The keyring as the plain data of its file, in the order people read it, without signatures."""
    return {
        "format": 1,
        "project": keyring.project,
        "environment": keyring.environment,
        "version": keyring.version,
        "past": list(keyring.past),
        "people": {"public": _x25519(keyring.people_public)},
        "keys": {document: _key_data(key) for document, key in sorted(keyring.keys.items())},
        "readers": {name: _reader_data(reader) for name, reader in sorted(keyring.readers.items())},
    }


def _x25519(public: bytes) -> str:
    return f"x25519:{to_base64url(public)}"


def _key_data(key: DocumentKey) -> dict[str, Any]:
    data: dict[str, Any] = {
        "public": _x25519(key.public),
        "private": {name: to_base64url(box) for name, box in sorted(key.private.items())},
    }
    if key.previous:
        data["previous"] = [
            {"public": _x25519(public), "private": to_base64url(box)} for public, box in key.previous
        ]
    return data


def _reader_data(reader: Reader) -> dict[str, Any]:
    data: dict[str, Any] = {"read": reader.read, "kind": reader.kind}
    if reader.unit is not None:
        data["unit"] = str(reader.unit)
    if reader.box is not None:
        data["box"] = to_base64url(reader.box)
    if reader.since:
        data["since"] = reader.since
    return data
