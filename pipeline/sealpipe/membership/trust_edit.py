"""Changes of trust/trust.yaml and trust/roots.yaml: each gives a signed `TrustEdit`.

`trust_files` turns one into file edits.

The repository must have been found trusted before (`checks.trusted.require_trusted`): a change signs
everything that stands in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sealpipe.canonical import strict_json
from sealpipe.checks.trust_history import highest_trust
from sealpipe.checks.trusted import target_of, target_refs
from sealpipe.crypto.keys import Identity, SigningKey
from sealpipe.editing.writing import FileEdit
from sealpipe.errors import RefusedError, TrustError, UsageError
from sealpipe.fields import NAME
from sealpipe.frozen import NamedTuple, field, frozen
from sealpipe.membership.root_change import (
    chain_data,
    complete,
    dropped_note,
    edit_role,
    key_entry,
    next_chain,
    recovery_if_due,
    today,
)
from sealpipe.membership.signed_files import (
    PAST_LIMIT,
    add_signatures,
    follow,
    names_of,
    registry_of,
    signed_edit,
)
from sealpipe.model import Workspace
from sealpipe.trust import ROOTS_FILE, TRUST_FILE, RootChain, Trust, chain_for, parse_trust

TRUST_HEADER = (
    "trust.yaml: who may publish, approve and administer. Written by `sealpipe trust …`, which raises",
    "`version` and signs; a hand edit makes `validate` fail (exit 6). Who can READ is in",
    "trust/<env>.keyring.yaml. Services pin one line of it: sealpipe trust show",
)
ROOTS_HEADER = (
    "roots.yaml: every root this project had, oldest first, and the links that carry trust along.",
)
ROLES = ("admins", "publishers", "break_glass", "approvals")
_FLAGS = {"admins": "admin", "publishers": "publishes"}
_FIELDS = ("format", "project", "version", "past", "root", "keys", "environments", "signatures")


class Roles(NamedTuple):
    """Environments by role, for one name."""

    admin: tuple[str, ...] = ()
    publishes: tuple[str, ...] = ()
    approves: tuple[str, ...] = ()
    break_glass: tuple[str, ...] = ()
    root: bool = False

    def entries(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return (
            ("admins", self.admin),
            ("publishers", self.publishes),
            ("approvals", self.approves),
            ("break_glass", self.break_glass),
        )


NO_ROLES = Roles()


@frozen
class TrustEdit:
    """A new version of trust.yaml, signed as far as the keys at hand go. Not yet written."""

    trust: Trust
    data: dict[str, Any] = field(repr=False)
    chain: RootChain | None  # set where roots.yaml changes too
    complete: bool  # whether the signatures suffice
    recovery: str | None = field(default=None, repr=False)  # text of a new recovery root key: shown once
    recovery_name: str = ""
    notes: tuple[str, ...] = ()


# ---- the first one


def new_trust(
    project: str, name: str, identity: Identity, environments: Sequence[str], *, since: str = ""
) -> dict[str, Any]:
    """Version 1 of trust.yaml as signed data: `name` in every role of every environment.

    Raises UsageError [bad-name].
    """
    check_name(name)
    entry = {"admins": [name], "publishers": [name]}
    data: dict[str, Any] = {
        "format": 1,
        "project": project,
        "version": 1,
        "past": [],
        "root": [name],
        "keys": {name: key_entry(identity.sign.public, identity.read.recipient, "person", since or today())},
        "environments": {environment: dict(entry) for environment in environments},
    }
    return sign_trust(data, [identity.sign])


def check_name(name: str) -> str:
    """The same name. Raises UsageError [bad-name]."""
    if not NAME.fullmatch(name) or len(name) > 64 or name == "people":
        raise UsageError(
            "bad-name", "a name is small letters and digits, with - and _ inside, and not `people`"
        )
    return name


def sign_trust(data: dict[str, Any], keys: Sequence[SigningKey]) -> dict[str, Any]:
    """The data with the signatures of those keys that its `root` names. Checks no threshold."""
    trust = parse_trust(data)
    signed = add_signatures(data, "TRUST", registry_of(trust, trust.root.of), keys)
    return {name: signed[name] for name in _FIELDS if name in signed}


def trust_files(root: str, data: dict[str, Any], chain: RootChain | None = None) -> tuple[FileEdit, ...]:
    """trust.yaml and, when a chain is given, roots.yaml as edits for `editing.writing.apply`."""
    found: list[FileEdit] = []
    if chain is not None:  # first: without it the new trust.yaml is foreign
        found.append(signed_edit(root, ROOTS_FILE, chain_data(data["project"], chain), ROOTS_HEADER))
    found.append(signed_edit(root, TRUST_FILE, data, TRUST_HEADER))
    return tuple(found)


# ---- a change


def change_trust(
    workspace: Workspace, keys: Sequence[SigningKey], change: Callable[[dict[str, Any]], None]
) -> TrustEdit:
    """The next version: `change` edits the data in place; a recovery root key is added when one is due.

    Raises RefusedError [not-root] when none of `keys` is root's, before or after.
    """
    old = need_trust(workspace)
    data: dict[str, Any] = strict_json(old.body)
    change(data)
    recovery, recovery_name = recovery_if_due(data)
    data["version"] = highest_trust(workspace, [*target_refs(workspace), "HEAD"]) + 1
    settled = target_of(workspace) if len(old.past) >= PAST_LIMIT else None
    data["past"] = follow(old.past, old.digest, settled.trust.digest if settled and settled.trust else "")
    signers = list(keys)
    if recovery is not None:
        signers.append(recovery[0])
    if not set(names_of(old, keys)) & set(old.root.of):
        raise RefusedError(
            "not-root",
            "your key is not one that signs trust.yaml",
            why=[f"root is {', '.join(old.root.of)}"],
            hint=["ask one of them, or use the recovery key: export SEALPIPE_SIGNING_KEY=…"],
        )
    # The new recovery key is only a root from this version on; it signs the link, not the document.
    signed = sign_trust(data, keys)
    trust = parse_trust(signed)
    chain = next_chain(workspace.roots, old, trust, signers)
    return TrustEdit(
        trust=trust,
        data=signed,
        chain=chain,
        complete=complete(trust, chain_for(trust, chain or workspace.roots)),
        recovery=recovery[1] if recovery else None,
        recovery_name=recovery_name,
        notes=dropped_note(workspace.roots, chain),
    )


def need_trust(workspace: Workspace) -> Trust:
    """The trust document. Raises TrustError [no-trust]."""
    if workspace.trust is None:
        raise TrustError("no-trust", f"there is no {TRUST_FILE}", hint=[f"git checkout HEAD -- {TRUST_FILE}"])
    return workspace.trust


# ---- registry and roles


def add_key(
    workspace: Workspace,
    keys: Sequence[SigningKey],
    name: str,
    *,
    sign_public: bytes | None,
    read: str | None = None,
    kind: str = "person",
    roles: Roles = NO_ROLES,
    replace: bool = False,
) -> TrustEdit:
    """Register a key, or give a registered name more roles (both public halves None).

    Raises RefusedError [known-name] for another key under a name that stands, unless `replace`.
    """
    old = need_trust(workspace)
    check_name(name)
    for other in old.keys.values():
        same = (sign_public is not None and other.sign == sign_public) or (read and other.read == read)
        if same and other.name != name:
            raise RefusedError(
                "known-key", f"this key is registered as {other.name}", hint=["sealpipe trust show"]
            )

    def change(data: dict[str, Any]) -> None:
        known = old.keys.get(name)
        if sign_public is None and read is None:
            if known is None:
                raise UsageError(
                    "unknown-name",
                    f"{name} is not registered",
                    hint=[f"sealpipe trust add {name} --card 'sealpipe-card-1 …'"],
                )
        elif known is None or replace:
            data["keys"][name] = key_entry(sign_public, read, kind, today(), known.note if known else "")
        elif (known.sign, known.read) != (sign_public, read):
            raise RefusedError(
                "known-name",
                f"{name} is registered with another key",
                hint=[f"sealpipe trust add {name} --replace …   # after making sure who asks"],
            )
        give_roles(data, name, roles)

    return change_trust(workspace, keys, change)


def give_roles(data: dict[str, Any], name: str, roles: Roles) -> None:
    """Add a name to roles of `data` in place. Raises UsageError [unknown-environment]."""
    for role, environments in roles.entries():
        for environment in environments:
            edit_role(_environment(data, environment), role, add=name)
    if roles.root:
        edit_role(data, "root", add=name)


def _environment(data: dict[str, Any], environment: str) -> dict[str, Any]:
    found: dict[str, Any] | None = data["environments"].get(environment)
    if found is None:
        raise UsageError(
            "unknown-environment",
            f"trust.yaml has no environment {environment}",
            why=[f"it has {', '.join(data['environments'])}"],
            hint=[f"sealpipe add environment {environment}"],
        )
    return found


def remove_key(workspace: Workspace, keys: Sequence[SigningKey], name: str) -> TrustEdit:
    """Take a name out of the registry and every role.

    Raises RefusedError [last-one] where an environment would have no admin, or nobody root, left.
    """
    old = need_trust(workspace)
    if name not in old.keys:
        raise UsageError("unknown-name", f"{name} is not registered", hint=["sealpipe trust show"])
    for environment, entry in old.environments.items():
        if entry.admins.of == (name,):
            raise RefusedError(
                "last-one",
                f"{name} is the only admin of {environment}",
                hint=[f"sealpipe trust add NAME --admin {environment}"],
            )
    if not [n for n in old.root.of if n != name and old.keys[n].kind != "recovery"]:
        raise RefusedError("last-one", f"{name} is the only root", hint=["sealpipe trust add NAME --root"])

    def change(data: dict[str, Any]) -> None:
        for entry in data["environments"].values():
            for role in ROLES:
                edit_role(entry, role, remove=name)
        edit_role(data, "root", remove=name)
        del data["keys"][name]

    return change_trust(workspace, keys, change)


def take_roles(workspace: Workspace, keys: Sequence[SigningKey], name: str, roles: Roles) -> TrustEdit:
    """Take a name out of these roles only; it stays registered.

    Raises UsageError for a name or environment that is not there, RefusedError [last-one] where an
    environment would have no admin, or nobody root, left, [not-in-role] where nothing would change.
    """
    old = need_trust(workspace)
    if name not in old.keys:
        raise UsageError("unknown-name", f"{name} is not registered", hint=["sealpipe trust show"])

    def change(data: dict[str, Any]) -> None:
        for role, environments in roles.entries():
            for environment in environments:
                entry = _environment(data, environment)
                held = getattr(old.environments[environment], role).of
                if name not in held:
                    raise RefusedError(
                        "not-in-role",
                        f"{name} is not among the {role} of {environment}",
                        hint=["sealpipe trust show"],
                    )
                if role in ("admins", "publishers") and held == (name,):
                    raise RefusedError(
                        "last-one",
                        f"{name} is the only one among the {role} of {environment}",
                        hint=[f"sealpipe trust add NAME --{_FLAGS[role]} {environment}"],
                    )
                edit_role(entry, role, remove=name)
        if roles.root:
            if not [n for n in old.root.of if n != name and old.keys[n].kind != "recovery"]:
                raise RefusedError(
                    "last-one", f"{name} is the only root", hint=["sealpipe trust add NAME --root"]
                )
            edit_role(data, "root", remove=name)

    return change_trust(workspace, keys, change)


def set_need(
    workspace: Workspace,
    keys: Sequence[SigningKey],
    environment: str | None,
    *,
    need: int = 0,
    approvals: int = 0,
    protected: bool | None = None,
    branch: str | None = None,
) -> TrustEdit:
    """How many admins (of root when `environment` is None) or approvals; whether protected, which branch."""

    def change(data: dict[str, Any]) -> None:
        if environment is None:
            edit_role(data, "root", need=need)
            return
        entry = _environment(data, environment)
        if need:
            edit_role(entry, "admins", need=need)
        if approvals:
            edit_role(entry, "approvals", need=approvals)
        if protected is not None:
            entry.pop("protected", None)
            entry.update({"protected": True} if protected else {})
        if branch is not None:
            entry["branch"] = branch

    return change_trust(workspace, keys, change)


def add_environment(
    workspace: Workspace,
    keys: Sequence[SigningKey],
    name: str,
    *,
    protected: bool = False,
    branch: str = "",
) -> TrustEdit:
    """An entry for a new environment: whoever signs is its admin and publisher."""
    old = need_trust(workspace)
    mine = [n for n in names_of(old, keys) if old.keys[n].kind == "person"][:1]

    def change(data: dict[str, Any]) -> None:
        if name in data["environments"]:
            raise RefusedError("exists", f"trust.yaml has an environment {name} already")
        entry: dict[str, Any] = {"admins": list(mine), "publishers": list(mine)}
        if protected:
            entry["protected"] = True
        if branch:
            entry["branch"] = branch
        data["environments"][name] = entry

    return change_trust(workspace, keys, change)
