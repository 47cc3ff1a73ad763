"""What a change of trust.yaml does to roles and roots: role lists, the recovery key, links.

Works on plain data and values; signs links, and nothing else.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from sealpipe.canonical import to_base64url
from sealpipe.crypto.keys import SigningKey, format_public, generate_signing_key
from sealpipe.crypto.signing import sign, verify
from sealpipe.errors import RefusedError, TrustError
from sealpipe.trust import (
    ROOT_LIMIT,
    Link,
    Root,
    RootChain,
    Trust,
    chain_for,
    check_link,
    check_signed,
    link_body,
    parse_trust,
    root_of,
)


def today() -> str:
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def key_entry(
    sign_public: bytes | None, read: str | None, kind: str, since: str, note: str = ""
) -> dict[str, Any]:
    """An entry of the registry as data."""
    found: dict[str, Any] = {}
    if sign_public is not None:
        found["sign"] = format_public("ed25519", sign_public)
    if read is not None:
        found["read"] = read
    if kind != "person" or read is None:
        found["kind"] = kind
    found["since"] = since
    if note:
        found["note"] = note
    return found


def edit_role(data: dict[str, Any], role: str, *, add: str = "", remove: str = "", need: int = 0) -> None:
    """Change a role of `data` (the document, or one environment's entry) in place.

    A list while one signature is enough, else `{need, of}`. Raises RefusedError [too-few] when `need`
    exceeds the names.
    """
    now = data.get(role) or []
    of = list(now if isinstance(now, list) else now["of"])
    wanted = need or (1 if isinstance(now, list) else now["need"])
    if add and add not in of:
        of.append(add)
    if remove in of:
        of.remove(remove)
        wanted = min(wanted, max(1, len(of)))
    if wanted > max(1, len(of)):
        names = "1 name" if len(of) == 1 else f"{len(of) or 'no'} names"
        raise RefusedError(
            "too-few",
            f"{role} has {names}; {wanted} signatures cannot be needed",
            hint=["sealpipe trust show"],
        )
    if not of:
        data.pop(role, None)
    else:
        data[role] = of if wanted == 1 else {"need": wanted, "of": of}


def recovery_if_due(data: dict[str, Any]) -> tuple[tuple[SigningKey, str] | None, str]:
    """A new recovery root key, entered into `data`, when a second person or a protected environment is
    there and no recovery key yet: (key, its text) and its name."""
    trust = parse_trust({**data, "signatures": []})
    people = [key for key in trust.keys.values() if key.kind == "person"]
    protected = any(entry.protected for entry in trust.environments.values())
    if any(trust.keys[name].kind == "recovery" for name in trust.root.of) or (
        len(people) < 2 and not protected
    ):
        return None, ""
    made = generate_signing_key()
    name = next(n for n in ("safe", *(f"safe-{i}" for i in range(2, 99))) if n not in trust.keys)
    note = "recovery root key, printed once; for when the people are gone"
    data["keys"][name] = key_entry(made[0].public, None, "recovery", today(), note)
    edit_role(data, "root", add=name)
    return made, name


def next_chain(
    roots: RootChain | None, old: Trust, new: Trust, keys: Sequence[SigningKey]
) -> RootChain | None:
    """The chain with a link to the new root; None when the root stays as it is."""
    before, after = root_of(old), root_of(new)
    if before == after:
        return None
    chain = chain_for(old, roots)
    link = sign_link(old.project, before, after, Link(()), keys)
    return RootChain((*chain.roots, after)[-ROOT_LIMIT:], (*chain.links, link)[-(ROOT_LIMIT - 1) :])


def sign_link(project: str, old: Root, new: Root, link: Link, keys: Sequence[SigningKey]) -> Link:
    """The link with the signatures of those keys that either root lists and that are not there yet."""
    body = link_body(project, old, new)
    pairs = {public: sig for public, sig in link.signatures if verify("ROOT", body, public, sig)}
    for key in keys:
        if key.public in {*old.keys, *new.keys}:
            pairs.setdefault(key.public, sign("ROOT", body, key))
    return Link(tuple(sorted(pairs.items())))


def complete(trust: Trust, chain: RootChain) -> bool:
    """Whether links and document have all the signatures that they need."""
    try:
        for index, link in enumerate(chain.links):
            check_link(trust.project, chain.roots[index], chain.roots[index + 1], link, verify)
        check_signed(trust, chain, verify)
    except TrustError:
        return False
    return True


def dropped_note(before: RootChain | None, chain: RootChain | None) -> tuple[str, ...]:
    """What to tell when the chain lost its oldest root."""
    if chain is None or before is None or chain.roots[0] == before.roots[0]:
        return ()
    return (
        f"the oldest of {ROOT_LIMIT} roots fell out of the chain: services pinned to it need the new "
        "SEALPIPE_TRUST (sealpipe trust show)",
    )


def chain_data(project: str, chain: RootChain) -> dict[str, Any]:
    """roots.yaml as data."""
    return {
        "format": 1,
        "project": project,
        "roots": [
            {"need": root.need, "keys": [format_public("ed25519", key) for key in root.keys]}
            for root in chain.roots
        ],
        "links": [
            {
                "signatures": [
                    {"key": format_public("ed25519", public), "sig": to_base64url(signature)}
                    for public, signature in link.signatures
                ]
            }
            for link in chain.links
        ],
    }
