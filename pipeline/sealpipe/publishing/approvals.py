"""Approvals: signatures over what a unit would say, kept in files beside the trust document.

One approval is over project, unit and draft digest, and nothing else: other people's merges do not void
it, and any change of the unit's own content does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sealpipe.canonical import to_base64url
from sealpipe.crypto.keys import SigningKey
from sealpipe.crypto.signing import sign, verify
from sealpipe.fields import Fields
from sealpipe.frozen import NamedTuple
from sealpipe.released import Release, Unit
from sealpipe.releases.wire import approval_body, split_release
from sealpipe.trees import Tree
from sealpipe.trust import Pairs, Role, Trust, named_pairs


class Missing(NamedTuple):
    """A unit that waits for approvals."""

    unit: Unit
    draft_digest: str
    have: tuple[str, ...]  # names that approved
    role: Role


def approval_file(unit: Unit, draft_digest: str) -> str:
    """Where the approvals of one draft of a unit are kept."""
    return f"trust/approvals/{unit.environment}/{unit.service}/{draft_digest}.yaml"


def role_of(trust: Trust, environment: str) -> Role:
    """Whose approval an environment asks for; need 0 where it asks for none."""
    entry = trust.environments.get(environment)
    return entry.approvals if entry else Role(0, ())


def approvals(tree: Tree, trust: Trust, unit: Unit, draft_digest: str, published: Release | None) -> Pairs:
    """The good signatures of today's approvers over this draft, from the file and from `published`.

    A release that had the same draft was approved for exactly what is signed again now. Raises
    InputError or TrustError [malformed-approval] for a file that is no approval.
    """
    pairs: dict[bytes, bytes] = {}
    if published is not None and published.payload.draft_digest == draft_digest:
        pairs.update(split_release(published.raw).approvals)
    pairs.update(named_pairs(trust.keys, _read(tree, unit, draft_digest)))
    role = role_of(trust, unit.environment)
    allowed = {trust.keys[name].sign for name in role.of}
    body = approval_body(trust.project, unit, draft_digest)
    return tuple(
        (key, signature)
        for key, signature in pairs.items()
        if key in allowed and verify("APPROVAL", body, key, signature)
    )


def missing(trust: Trust, unit: Unit, draft_digest: str, found: Pairs) -> Missing | None:
    """What is still needed, None when the approvals suffice or none are asked for."""
    role = role_of(trust, unit.environment)
    keys = {key for key, _ in found}
    have = tuple(name for name in role.of if trust.keys[name].sign in keys)
    return None if len(have) >= role.need else Missing(unit, draft_digest, have, role)


def approve(
    tree: Tree, trust: Trust, unit: Unit, draft_digest: str, keys: Sequence[tuple[str, SigningKey]]
) -> dict[str, Any]:
    """The content of the approval file with the signatures of these keys (name, key) added."""
    kept = dict(_read(tree, unit, draft_digest))
    body = approval_body(trust.project, unit, draft_digest)
    kept.update({name: sign("APPROVAL", body, key) for name, key in keys})
    return {
        "format": 1,
        "project": trust.project,
        "environment": unit.environment,
        "service": unit.service,
        "draft": draft_digest,
        "signatures": [{"by": name, "sig": to_base64url(signature)} for name, signature in kept.items()],
    }


def _read(tree: Tree, unit: Unit, draft_digest: str) -> tuple[tuple[str, bytes], ...]:
    from sealpipe.documents.read import read_yaml

    file = approval_file(unit, draft_digest)
    text = tree.read(file)
    if text is None:
        return ()
    data: Mapping[str, Any] = read_yaml(text, file=file)
    fields = Fields(data, "approval", file)
    fields.only(required=("format", "project", "environment", "service", "draft", "signatures"))
    fields.format_one()
    return fields.signatures()
