"""What `doctor` looks at: the person's key, the repository, its trust, and each environment's store.

Every check is a `Check`; nothing is repaired, and no key is opened beyond what the person's own opens.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sealpipe import git
from sealpipe.checks.trusted import trusted_findings
from sealpipe.errors import ConflictError, Finding, InputError, SealpipeError, StoreError
from sealpipe.flows.drafts import render
from sealpipe.flows.targets import Target, primary, reader_of
from sealpipe.keysource import Found, locate
from sealpipe.model import Broken, Workspace
from sealpipe.opening import reader_of as reader_entry
from sealpipe.opening import sealed_in
from sealpipe.pins import find_pins
from sealpipe.publishing.heads import heads
from sealpipe.stages.load import units
from sealpipe.stages.validate import validate
from sealpipe.stores.base import ABSENT, Delete, Put, Store
from sealpipe.stores.registry import scheme_of
from sealpipe.trust import Pin, Trust

Environ = Mapping[str, str]
_SEALED_WORDS = ("moved-secret", "stale-secret", "malformed-secret", "unknown-key-id", "wrong-secret-type")


class Check(NamedTuple):
    """One thing looked at. `mark`: ok, warning, problem or unknown (could not be looked at)."""

    section: str
    mark: str
    text: str
    hint: str = ""  # a command that works when pasted, or a sentence


def diagnose(workspace: Workspace, environ: Environ, *, environment: str = "") -> Iterator[Check]:
    """All checks, in the order they are shown. Raises nothing for what it finds wrong."""
    found, checks = _key(environ, workspace)
    yield from checks
    yield from _roles(workspace, found)
    pins, checks = _pins(workspace, environ)
    yield from checks
    yield from _repository(workspace, pins)
    yield from _trust(workspace)
    for name in workspace.project.environments:
        if not workspace.project.abstract(name) and environment in ("", name):
            yield from _environment(workspace, name, pins)


# ---- you


def _key(environ: Environ, workspace: Workspace) -> tuple[Found | None, list[Check]]:
    problem: SealpipeError | None = None
    found = None
    try:
        found = locate(environ)
    except SealpipeError as error:
        problem = error
    if problem is not None:
        return None, [_failed("you", problem)]
    if found is None:
        what = "you have no key here: you can look, validate and set secrets, and open nothing"
        return None, [Check("you", "warning", what, "sealpipe keys new")]
    names = _names(workspace.trust, found)
    who = ", ".join(names) or "not registered in trust.yaml"
    check = Check("you", "ok" if names else "warning", f"{who} · key {found.source}")
    if not names:
        check = check._replace(hint="your card, to send to an admin: sealpipe keys new")
    return found, [check]


def _names(trust: Trust | None, found: Found) -> list[str]:
    mine = {identity.read.recipient for identity in found.identities}
    return [name for name, key in (trust.keys if trust else {}).items() if key.read in mine]


def _roles(workspace: Workspace, found: Found | None) -> Iterator[Check]:
    if found is None or workspace.trust is None:
        return
    names = set(_names(workspace.trust, found))
    reads = [
        environment
        for environment, keyring in workspace.keyrings.items()
        if any(reader_entry(keyring, identity.read) is not None for identity in found.identities)
    ]
    entries = workspace.trust.environments
    publishes = [env for env, entry in entries.items() if names & set(entry.publishers.of)]
    admin = [env for env, entry in entries.items() if names & set(entry.admins.of)]
    parts = [f"reads {', '.join(reads) or 'nothing'}"]
    parts += [f"admin of {', '.join(admin)}"] if admin else []
    parts += [f"publishes {', '.join(publishes)}"] if publishes else []
    yield Check("you", "ok", " · ".join(parts))


def _failed(section: str, error: SealpipeError, mark: str = "problem") -> Check:
    hint = error.finding.hint[0] if error.finding.hint else ""
    return Check(section, mark, f"{error.finding.what} [{error.word}]", hint)


# ---- the repository


def _pins(workspace: Workspace, environ: Environ) -> tuple[tuple[Pin, ...], list[Check]]:
    problem: SealpipeError | None = None
    pins: tuple[Pin, ...] = ()
    try:
        pins = find_pins(environ, workspace.project.id)
    except SealpipeError as error:
        problem = error
    if problem is not None:
        return (), [_failed("repository", problem)]
    if not pins:
        what = "no root is pinned here: what this repository calls its trust is believed unseen"
        return (), [Check("repository", "warning", what, "sealpipe trust show")]
    return pins, []


def _repository(workspace: Workspace, pins: tuple[Pin, ...]) -> Iterator[Check]:
    findings = [f for f in trusted_findings(workspace, pins=pins) if f.word != "no-pin"]
    for finding in findings:
        mark = "problem" if finding.severity == "error" else "warning"
        yield Check("repository", mark, _said(finding), next(iter(finding.hint), ""))
    if not findings and workspace.trust is not None:
        signed = ", ".join(dict.fromkeys(name for name, _ in workspace.trust.signatures))
        yield Check("repository", "ok", f"trust v{workspace.trust.version} signed by {signed}")
        yield Check("repository", "ok", f"{_count(len(workspace.keyrings), 'keyring')} signed")
    yield from _content(workspace)
    yield from _git(workspace)


def _said(finding: Finding) -> str:
    return f"{finding.what} [{finding.word}]" + (f"  {finding.where}" if finding.where else "")


def _content(workspace: Workspace) -> Iterator[Check]:
    validation = validate(workspace)
    errors = [finding for finding in validation.findings if finding.severity == "error"]
    sealed = sum(1 for document in workspace.documents.values() for _ in sealed_in(document))
    if errors:
        yield Check(
            "repository", "problem", f"{_count(len(errors), 'error')} in the files", "sealpipe validate"
        )
    stale = sum(1 for finding in validation.findings if finding.word == "stale-secret")
    if stale:
        what = f"{_count(stale, 'value')} sealed for an older key of the document"
        yield Check("repository", "warning", what, "sealpipe seal")
    if not any(finding.word in _SEALED_WORDS for finding in validation.findings):
        yield Check("repository", "ok", f"{_count(sealed, 'sealed value')}, all in place, keys current")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _git(workspace: Workspace) -> Iterator[Check]:
    root = workspace.root
    if git.toplevel(root) is None:
        yield Check(
            "repository", "unknown", "not in git: no history, no pull requests, no protected environments"
        )
        return
    for name in git.ignored_files(root, ("sealpipe.yaml", "trust", "schemas", "environments")):
        if name.endswith((".yaml", ".json")) and not name.endswith(".local.yaml"):
            yield Check(
                "repository", "warning", f"git ignores {name}: no commit has it", f"git add -f {name}"
            )
    store = Path(root, ".sealpipe")
    if store.exists() and git.run(
        ["ls-files", "--others", "--exclude-standard", "--", ".sealpipe"], cwd=root
    ):
        what = ".sealpipe/ is not ignored by git: published releases would be committed"
        yield Check("repository", "warning", what, "echo .sealpipe/ >> .gitignore")
    hooks = git.hooks_folder(root)
    hook = Path(hooks, "pre-commit") if hooks else None
    if hook is not None and hook.is_file() and b"sealpipe" in hook.read_bytes():
        yield Check("repository", "ok", "pre-commit hook validates what you commit")
    else:
        yield Check(
            "repository", "unknown", "no pre-commit hook of sealpipe in this clone; CI validates all the same"
        )


# ---- trust


def _trust(workspace: Workspace) -> Iterator[Check]:
    trust = workspace.trust
    if trust is None:
        return
    people = [name for name, key in trust.keys.items() if key.kind == "person"]
    recovery = [name for name in trust.root.of if trust.keys[name].kind == "recovery"]
    for environment, entry in trust.environments.items():
        if len(entry.admins.of) > 1 and entry.admins.need < 2 and entry.protected:
            what = (
                f"{len(entry.admins.of)} admins, 1 needed: one stolen laptop can grant itself {environment}"
            )
            yield Check("trust", "warning", what, f"sealpipe trust admins {environment} --need 2")
    if recovery:
        yield Check("trust", "ok", f"recovery key `{', '.join(recovery)}`")
    elif len(people) > 1:
        what = "no recovery root key: when everybody in `root` is gone, services need a new SEALPIPE_TRUST"
        yield Check("trust", "warning", what, "sealpipe trust show")
    solo = len(people) == 1
    yield Check(
        "trust", "ok", f"{_count(len(people), 'person') if solo else f'{len(people)} people'} registered"
    )


# ---- stores


def _environment(workspace: Workspace, name: str, pins: tuple[Pin, ...]) -> Iterator[Check]:
    url = workspace.project.environments[name].publish_to or ""
    problem: SealpipeError | None = None
    checks: list[Check] = []
    try:
        with primary(workspace, name) as target:
            if scheme_of(url) == "file":
                checks += _folder(url, workspace.root, name)
            checks += _swap(target.store, target.prefix, name) if _writable(url, workspace.root) else []
            checks.append(_state(workspace, name, pins, target))
    except SealpipeError as error:
        problem = error
    if problem is not None:
        checks.append(_failed(name, problem, "unknown" if isinstance(problem, StoreError) else "problem"))
    yield from checks


def _path(url: str, root: str) -> Path:
    return Path(root, url.removeprefix("file:"))


def _writable(url: str, root: str) -> bool:
    if scheme_of(url) != "file":
        return False
    path = _path(url, root)
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def _folder(url: str, root: str, name: str) -> list[Check]:
    path = _path(url, root)
    if not path.exists():
        return []
    if not path.is_dir():
        return [Check(name, "problem", f"{url} is no folder", f"ls -ld {path}")]
    if not os.access(path, os.W_OK | os.X_OK):
        return [Check(name, "unknown", f"{url} cannot be written from here; reading is enough to look")]
    if path.stat().st_mode & 0o002:
        what = f"{url} can be written by everybody on this machine; services notice, people wonder"
        return [Check(name, "warning", what, f"chmod o-w {path}")]
    return []


def _swap(store: Store, prefix: str, name: str) -> list[Check]:
    """Create, create again, compare-and-swap, delete: with a probe that no reader looks at."""
    key = f"{prefix}{name}/doctor/{secrets.token_hex(8)}"
    done = []
    try:
        store.write([Put(key, b"probe", ABSENT)])
        done.append("create")
        refused = _refuses(lambda: store.write([Put(key, b"other", ABSENT)]))
        entry = store.get(key, fresh=True)
        if refused and entry is not None and entry.value == b"probe":
            return []
    finally:
        if done:
            store.write([Delete(key)])
    what = "the store overwrites what it was told to create only (tried with a probe, removed)"
    return [Check(name, "problem", what, "two publishers could overwrite each other: use another store")]


def _refuses(write: Callable[[], None]) -> bool:
    try:
        write()
    except ConflictError:
        return True
    return False


def _state(workspace: Workspace, name: str, pins: tuple[Pin, ...], target: Target) -> Check:
    """How many services the store has, and whether they are what the files say."""
    url = target.url
    found = heads(target.store, target.prefix, name, reader_of(workspace, pins))
    broken = [str(unit) for unit, one in found.items() if isinstance(one, Broken)]
    if broken:
        what = f"{url}: no reader would accept the head of {', '.join(broken)}"
        return Check(name, "problem", what, f"sealpipe verify {name}")
    wanted = [unit for unit in units(workspace) if unit.environment == name]
    if not found:
        return Check(name, "ok", f"{url}  nothing published yet", f"sealpipe publish {name}")
    behind: list[str] = []
    try:
        drafted = render(workspace, wanted).drafted
    except InputError:
        return Check(name, "ok", f"{url}  {_count(len(found), 'service')}")
    for unit in wanted:
        one = found.get(unit)
        published = (
            one.release.payload.draft_digest if one is not None and not isinstance(one, Broken) else ""
        )
        if published != drafted[unit].digest:
            behind.append(unit.service)
    if behind:
        what = f"{url}  {_count(len(found), 'service')}, {', '.join(behind)} not as in the files"
        return Check(name, "ok", what, f"sealpipe plan {name}")
    return Check(name, "ok", f"{url}  {_count(len(found), 'service')}, all as in the files")


def is_finding(check: Check) -> bool:
    """Whether a check is something to act on."""
    return check.mark in ("warning", "problem")
