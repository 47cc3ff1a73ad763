"""A validated configuration as a draft: what its release will say, in bytes that are the same every time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealpipe.keyrings import Keyring, stanzas_for
from sealpipe.model import Drafted, ValidatedConfig
from sealpipe.released import Draft, SealedAt, Unit
from sealpipe.releases.drafts import draft_bytes, draft_digest


def draft(
    validated: ValidatedConfig,
    keyrings: Mapping[str, Keyring],
    origins: Mapping[str, str] | None = None,
) -> Drafted:
    """The draft of a unit. Equal configurations, schemas and readers give equal bytes.

    `origins` stands beside the draft and is no part of its digest: a comment that shifts lines changes
    nothing. Opens nothing and checks no signature: keyrings are the caller's to have checked.
    """
    config = validated.config
    sealed = {s.pointer: SealedAt(s.document.environment, s.document.name) for s in config.sealed}
    content = Draft(
        values=config.values,
        sealed=sealed,
        merge_keys=dict(config.merge_keys),
        locked=tuple(sorted(validated.locked)),
        stanzas=stanzas_for(keyrings, config.unit, sorted({*sealed.values()})),
    )
    return drafted(
        config.unit,
        content,
        schema_digest=validated.schema_digest,
        keyring_versions=versions_of(content, keyrings),
        origins=origins or {},
    )


def drafted(
    unit: Unit,
    content: Draft,
    *,
    schema_digest: str,
    keyring_versions: Mapping[str, int],
    origins: Mapping[str, str],
) -> Drafted:
    """A draft with its canonical bytes and digest. Checks nothing: see who calls it in `model.Drafted`."""
    data = draft_bytes(content.values, content.sealed, content.merge_keys, content.locked, content.stanzas)
    versions, places = dict(keyring_versions), dict(origins)
    return Drafted(unit, content, data, draft_digest(data), schema_digest, versions, places)


def versions_of(content: Draft, keyrings: Mapping[str, Keyring]) -> dict[str, int]:
    """The versions of the keyrings that a draft's sealed values were made with."""
    named = sorted({at.environment for at in content.sealed.values()})
    return {name: keyrings[name].version for name in named if name in keyrings}


def tombstone(unit: Unit) -> Drafted:
    """The empty draft of a unit that is retired."""
    empty: Mapping[str, Any] = {}
    content = Draft(values=empty, sealed={}, merge_keys={}, locked=(), stanzas={})
    return drafted(unit, content, schema_digest="", keyring_versions={}, origins={})
