"""Text of readers, trust and what a key could open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sealpipe.keyrings import Keyring
from sealpipe.membership.exposure import Exposed
from sealpipe.trust import Role, Trust


def readers(keyring: Keyring, *, me: str = "") -> list[str]:
    """Who can read an environment: persons all of it, machines what stands behind them."""
    lines = [f"{keyring.environment}  keyring version {keyring.version}, {len(keyring.keys)} documents"]
    width = max((len(name) for name in keyring.readers), default=0)
    for name, reader in sorted(keyring.readers.items(), key=lambda item: (item[1].kind != "person", item[0])):
        opens = [document for document, key in sorted(keyring.keys.items()) if name in key.private]
        what = "everything" if reader.kind == "person" else ", ".join(opens) or "nothing yet"
        unit = f"  for {reader.unit}" if reader.unit else ""
        you = "  (you)" if reader.read == me else ""
        lines.append(f"  {name:<{width}}  {reader.kind:<7}  {reader.since:<10}  {what}{unit}{you}")
    return lines


def exposed(rows: Sequence[Exposed]) -> list[str]:
    """One line a secret: where it stands, or that it only stands in the history."""
    width = max((len(str(row.document)) for row in rows), default=0)
    return [
        f"{row.document!s:<{width}}  {row.path}{'' if row.present else '   (in git history only)'}"
        for row in rows
    ]


def checklist(name: str, rows: Sequence[Exposed]) -> list[str]:
    """A Markdown list to work through after a revocation."""
    boxes = (
        f"- [ ] `{row.document}` `{row.path}`{'' if row.present else ' (in git history only)'}"
        for row in rows
    )
    return [
        f"# Secrets that {name} could open",
        "",
        "Sealing again does not take back what was read: change each at its source, then set it.",
        "",
        *boxes,
    ]


def trust(found: Trust, pin: str, signed_by: Iterable[str]) -> list[str]:
    """Roles by environment, the registry, and the pin."""
    lines = [
        f"project     {found.project}",
        f"version     {found.version}, signed by {', '.join(signed_by) or 'nobody'}",
        f"pin         SEALPIPE_TRUST={pin}",
        f"root        {_role(found.root)}",
        "",
        "keys",
    ]
    width = max(len(name) for name in found.keys)
    for name, key in found.keys.items():
        kind = key.kind + ("" if key.read else ", signs only") if key.kind != "recovery" else "recovery"
        note = f"  {key.note}" if key.note else ""
        lines.append(f"  {name:<{width}}  {kind:<20}  {key.since}{note}".rstrip())
    for environment, entry in found.environments.items():
        protected = f"  protected, branch {entry.branch}" if entry.protected else ""
        lines += ["", f"{environment}{protected}"]
        lines.append(f"  admins       {_role(entry.admins)}")
        lines.append(f"  publishers   {_role(entry.publishers)}")
        if entry.break_glass.of:
            lines.append(f"  break glass  {_role(entry.break_glass)}")
        if entry.approvals.need:
            lines.append(f"  approvals    {_role(entry.approvals)}")
    return lines


def _role(role: Role) -> str:
    names = ", ".join(role.of) or "nobody"
    return names if role.need <= 1 else f"{role.need} of {names}"


def trust_changes(old: Trust | None, new: Trust) -> list[str]:
    """What a new trust document would change, a line each: what to look at before signing it."""
    if old is None:
        return ["the whole document is new"]
    lines = []
    if old.root != new.root:
        lines.append(f"root            {_role(old.root)}  →  {_role(new.root)}")
    for name in sorted({*old.keys, *new.keys}):
        had, has = old.keys.get(name), new.keys.get(name)
        if had != has:
            what = "added" if had is None else "removed" if has is None else "changed"
            if had and has and (had.sign, had.read) != (has.sign, has.read):
                what = "replaced: the old key is out"
            lines.append(f"key {name:<11} {what}")
    for environment in sorted({*old.environments, *new.environments}):
        was, now = old.environments.get(environment), new.environments.get(environment)
        if was is None or now is None:
            lines.append(f"{environment:<15} {'added' if was is None else 'removed'}")
            continue
        for field in ("admins", "publishers", "break_glass", "approvals"):
            one, other = getattr(was, field), getattr(now, field)
            if one != other:
                lines.append(f"{environment:<15} {field}: {_role(one)}  →  {_role(other)}")
        if (was.protected, was.branch) != (now.protected, now.branch):
            before, after = (f"{'yes' if e.protected else 'no'} ({e.branch})" for e in (was, now))
            lines.append(f"{environment:<15} protected: {before}  →  {after}")
    return lines


def keyring_changes(old: Keyring | None, new: Keyring) -> list[str]:
    """What a keyring would change, a line each."""
    if old is None:
        return [f"new, readers: {', '.join(sorted(new.readers))}"]
    lines = [f"reader added: {name}" for name in sorted(set(new.readers) - set(old.readers))]
    lines += [f"reader removed: {name}" for name in sorted(set(old.readers) - set(new.readers))]
    for name in sorted(set(old.readers) & set(new.readers)):
        if old.readers[name].read != new.readers[name].read:
            lines.append(f"another key for reader {name}")
    for document in sorted({*old.keys, *new.keys}):
        before, after = old.keys.get(document), new.keys.get(document)
        if before is None or after is None:
            lines.append(f"key of {document} {'added' if before is None else 'removed'}")
        elif before.public != after.public:
            lines.append(f"new key for {document}")
        elif added := sorted(set(after.private) - set(before.private)):
            lines.append(f"{document} can be opened by {', '.join(added)} as well")
    return lines
