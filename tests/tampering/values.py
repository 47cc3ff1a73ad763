"""Attacks on sealed values: what SOPS lets through or not, translated, and what the first drafts let through.

The attacker can write to the repository or the store, and knows every public key.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nacl.secret
import nacl.utils

from release_builder import PROJECT, UNIT, Recipe, both, document_key, having, pins, token, without
from sealpipe import tokens
from sealpipe.crypto.keys import PrivateKey
from sealpipe.crypto.sealing import open_value, seal_with
from sealpipe.paths import Member
from sealpipe.releases.check import check_release
from sealpipe.tokens import Token, parse_token, place

from .attack import Attack, word

GOOD = Recipe()
REPO = "write access to the repository"
STORE = "write access to the store"
PUBLIC = "the document's public key"
PUBLISHER = "a publisher's key"
KEY = document_key("production/checkout")
PATH = ("db", "password")
AT = place("production", "checkout", PATH)
TEXT = token(b"hunter2 is no password", "checkout", *PATH)


def opened(text: str, at: bytes = AT, key: PrivateKey = KEY) -> Callable[[Path], str]:
    return lambda _: word(lambda: open_value(parse_token(text), at, key))


def replaced(**parts: Any) -> str:
    return str(parse_token(TEXT)._replace(**parts))


def stored(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], str]:
    """The content of a published release edited in the store."""
    return lambda _: word(lambda: believed(GOOD.but(draft_after=change)))


def published(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], str]:
    """The content signed by a publisher and approved: what is left are the rules of the draft itself."""
    return lambda _: word(lambda: believed(GOOD.but(draft=change)))


def believed(recipe: Recipe) -> None:
    check_release(recipe.bytes(), pins=pins(), unit=UNIT, project=PROJECT)


def renamed(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(draft: dict[str, Any]) -> None:
        node = draft["values"]["db"]
        node[new] = node.pop(old)

    return change


def swapped_names(draft: dict[str, Any]) -> None:
    node = draft["values"]["db"]
    node["host"], node["pool_max"] = node["pool_max"], node["host"]


def bytes_moved(draft: dict[str, Any]) -> None:
    draft["values"]["tags"] = ["ab", ""]


def swapped_elements(draft: dict[str, Any]) -> None:
    one, two = draft["values"]["replicas"]
    one["url"], two["url"] = two["url"], one["url"]
    draft["sealed"]["/replicas/1/url"] = draft["sealed"].pop("/replicas/0/url")


def to_banner(draft: dict[str, Any]) -> None:
    """The password delivered where a log shows it, the list of secrets saying where it came from."""
    draft["values"]["banner"] = draft["values"]["db"].pop("password")
    draft["sealed"]["/banner"] = draft["sealed"].pop("/db/password")


def hostile(plain: bytes, kind: str) -> str:
    """What anybody can seal who knows the public key, with any plaintext."""
    ephemeral = PrivateKey(nacl.utils.random(32))
    return str(seal_with(plain, kind, AT, KEY.public, ephemeral=ephemeral, random=nacl.utils.random(16)))


def unpadded() -> str:
    ephemeral = PrivateKey(nacl.utils.random(32))
    tag, tail = tokens.place_tag(AT), nacl.utils.random(16)
    header = tokens.associated_data("str", KEY.public, ephemeral.public, AT)
    body = nacl.secret.Aead(ephemeral.shared_key(KEY.public)).encrypt(bytes(32), header, tag + tail)
    return str(Token("str", KEY.key_id, ephemeral.public, tag, tail, body.ciphertext))


def stray_bits() -> str:
    """Another spelling of the same bytes, which a lax decoder takes."""
    data = TEXT[TEXT.index("data:") + 5 : -1]
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return TEXT.replace(data, data[:-1] + last[last.index(data[-1]) ^ 1])


def low_order() -> str:
    return replaced(ephemeral=bytes(32))


def blanked(draft: dict[str, Any]) -> None:
    draft["values"]["db"]["password"] = ""


DEEP = b"[" * 40 + b"]" * 40
OTHER = document_key("production/_all")

SOPS = [
    Attack("type tag of a sealed value: str to int", REPO, opened(replaced(type="int")), "unreadable-secret"),
    Attack(
        "type tag of a sealed value: str to bool", REPO, opened(replaced(type="bool")), "unreadable-secret"
    ),
    Attack(
        "type tag of a sealed value: str to bytes", REPO, opened(replaced(type="bytes")), "unreadable-secret"
    ),
    Attack("names of two plain keys swapped", STORE, stored(swapped_names), "altered-draft"),
    Attack("a plain key renamed", STORE, stored(renamed("host", "debug")), "altered-draft"),
    Attack("bytes moved across plain neighbours", STORE, stored(bytes_moved), "altered-draft"),
    Attack("a null key added", STORE, stored(having("values.k", None)), "altered-draft"),
    Attack("an empty text added", STORE, stored(having("values.k", "")), "altered-draft"),
    Attack("an empty map added", STORE, stored(having("values.k", {})), "altered-draft"),
    Attack("an empty list added", STORE, stored(having("values.k", [])), "altered-draft"),
    Attack("a key deleted", STORE, stored(without("values.ratio")), "altered-draft"),
    Attack("a list wrapped in a list", STORE, stored(having("values.tags", [["a"], "b"])), "altered-draft"),
    Attack("a list of one made its element", STORE, stored(having("values.tags", "a")), "altered-draft"),
    Attack("a plain number made a text", STORE, stored(having("values.db.pool_max", "40")), "altered-draft"),
    Attack("a plain value edited", STORE, stored(having("values.db.host", "evil")), "altered-draft"),
    Attack("a sealed value made plain", STORE, stored(having("values.db.password", "x")), "altered-draft"),
    Attack("a sealed value deleted", PUBLISHER, published(without("values.db.password")), "no-place"),
    Attack("a sealed value blanked", PUBLISHER, published(blanked), "no-place"),
    Attack(
        "sealed values of two elements swapped", PUBLISHER, published(swapped_elements), "misplaced-secret"
    ),
    Attack(
        "a.b made one key named a:b",
        REPO,
        opened(TEXT, place("production", "checkout", ("db:password",))),
        "unreadable-secret",
    ),
    Attack(
        "a sealed value copied to another key",
        REPO,
        opened(TEXT, place("production", "checkout", ("db", "host"))),
        "unreadable-secret",
    ),
    Attack(
        "a file copied to another environment",
        REPO,
        opened(TEXT, place("dev", "checkout", PATH)),
        "unreadable-secret",
    ),
    Attack(
        "a file copied to another service",
        REPO,
        opened(TEXT, place("production", "mailer", PATH)),
        "unreadable-secret",
    ),
    Attack(
        "the whole content forged by who knows the public keys",
        STORE,
        stored(having("values.db.password", hostile(b"mine", "str"))),
        "altered-draft",
    ),
]

DRAFTS = [
    Attack("place tag changed", REPO, opened(replaced(place_tag=bytes(8))), "unreadable-secret"),
    Attack(
        "place tag and place changed alike",
        REPO,
        opened(
            replaced(place_tag=tokens.place_tag(place("dev", "checkout", PATH))),
            place("dev", "checkout", PATH),
        ),
        "unreadable-secret",
    ),
    Attack("random half of the nonce changed", REPO, opened(replaced(random=bytes(16))), "unreadable-secret"),
    Attack("ephemeral key of low order", REPO, opened(low_order()), "unreadable-secret"),
    Attack("key id of another document", REPO, opened(replaced(key_id=OTHER.key_id)), "unreadable-secret"),
    Attack("opened with another document's key", REPO, opened(TEXT, AT, OTHER), "unreadable-secret"),
    Attack("another spelling of the same bytes", REPO, opened(stray_bits()), "malformed-secret"),
    Attack("cut short", REPO, opened(TEXT[:90] + "]"), "malformed-secret"),
    Attack("another scheme's name", REPO, opened(TEXT.replace("NACL1", "NACL0")), "malformed-secret"),
    Attack("two lines", REPO, opened(TEXT + "\n"), "malformed-secret"),
    Attack(
        "map key 0 for index 0",
        REPO,
        opened(token(b"x", "checkout", "l", "0"), place("production", "checkout", ("l", Member("n", 0)))),
        "unreadable-secret",
    ),
    Attack(
        'merge key 1 for merge key "1"',
        REPO,
        opened(
            token(b"x", "checkout", "l", Member("n", 1)),
            place("production", "checkout", ("l", Member("n", "1"))),
        ),
        "unreadable-secret",
    ),
    Attack(
        "merge key true for merge key 1",
        REPO,
        opened(
            token(b"x", "checkout", "l", Member("n", True)),
            place("production", "checkout", ("l", Member("n", 1))),
        ),
        "unreadable-secret",
    ),
    Attack("garbage sealed as text", PUBLIC, opened(hostile(b"\xff\xfe", "str")), "unreadable-secret"),
    Attack("NUL sealed in a text", PUBLIC, opened(hostile(b"a\0b", "str")), "unreadable-secret"),
    Attack("007 sealed as a number", PUBLIC, opened(hostile(b"007", "int")), "unreadable-secret"),
    Attack(
        "2^53 sealed as a number", PUBLIC, opened(hostile(b"9007199254740992", "int")), "unreadable-secret"
    ),
    Attack("NaN sealed as a float", PUBLIC, opened(hostile(b"NaN", "float")), "unreadable-secret"),
    Attack("True sealed as a boolean", PUBLIC, opened(hostile(b"True", "bool")), "unreadable-secret"),
    Attack("a JSON bomb sealed", PUBLIC, opened(hostile(DEEP, "array")), "unreadable-secret"),
    Attack(
        "a key twice in sealed JSON", PUBLIC, opened(hostile(b'{"a":1,"a":2}', "object")), "unreadable-secret"
    ),
    Attack(
        "a map sealed as a list",
        PUBLIC,
        opened(hostile(json.dumps({}).encode(), "array")),
        "unreadable-secret",
    ),
    Attack("no padding", PUBLIC, opened(unpadded()), "unreadable-secret"),
    Attack("a password delivered at a banner", PUBLISHER, published(to_banner), "misplaced-secret"),
    Attack(
        "a token that the draft does not list",
        PUBLISHER,
        published(having("values.tags.0", TEXT)),
        "unlisted-secret",
    ),
    Attack("a token unlisted", PUBLISHER, published(without("sealed./db/password")), "unlisted-secret"),
    Attack(
        "a token said to be another document's",
        PUBLISHER,
        published(having("sealed./db/password.document", "_all")),
        "misplaced-secret",
    ),
    Attack(
        "a token said to be another environment's",
        PUBLISHER,
        published(having("sealed./db/password.environment", "staging")),
        "misplaced-secret",
    ),
    Attack(
        "an element renamed under its secret",
        PUBLISHER,
        published(having("values.replicas.0.name", "eu2")),
        "misplaced-secret",
    ),
    Attack(
        "two elements of one name",
        PUBLISHER,
        published(having("values.replicas.1.name", "eu")),
        "bad-merge-key",
    ),
    Attack(
        "a merge key that is itself a secret",
        PUBLISHER,
        published(having("values.replicas.1.name", TEXT)),
        "bad-merge-key",
    ),
    Attack("merge keys taken away", PUBLISHER, published(having("merge_keys", {})), "no-place"),
    Attack(
        "a token in a list without names",
        PUBLISHER,
        published(
            both(
                having("values.tags.0", TEXT),
                having("sealed./tags/0", {"environment": "production", "document": "checkout"}),
            )
        ),
        "no-place",
    ),
    Attack(
        "a pointer in another spelling",
        PUBLISHER,
        published(having("sealed./replicas/00/url", {"environment": "production", "document": "_all"})),
        "no-place",
    ),
    Attack(
        "a SOPS value in a release",
        PUBLISHER,
        published(having("values.tags.0", "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]")),
        "unlisted-secret",
    ),
]

ATTACKS = [*SOPS, *DRAFTS]
