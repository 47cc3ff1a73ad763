"""What `doctor` looks at: the person's key, the repository, its trust, and each environment's store.

Every check is a `Check`; nothing is repaired, and no key is opened beyond what the person's own opens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sealpipe import git
from sealpipe.checks.trusted import trusted_findings
from sealpipe.errors import Finding, InputError, SealpipeError, StoreError, UsageError
from sealpipe.flows.drafts import render
from sealpipe.flows.targets import Target, primary, reader_of
from sealpipe.frozen import NamedTuple
from sealpipe.keysource import Found, find_signing_keys, locate
from sealpipe.model import Broken, Workspace
from sealpipe.opening import reader_of as reader_entry
from sealpipe.opening import sealed_in
from sealpipe.pins import find_pins
from sealpipe.publishing.fence import publishing_keys
from sealpipe.publishing.heads import heads
from sealpipe.stages.load import units
from sealpipe.stages.validate import validate
from sealpipe.stores.probes.facts import Asked, store_facts
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
            publisher = _publishes(workspace, name, environ)
            named = bool(environment)
            yield from _environment(workspace, name, pins, publisher=publisher, named=named)


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


def _environment(
    workspace: Workspace, name: str, pins: tuple[Pin, ...], *, publisher: bool, named: bool
) -> Iterator[Check]:
    spec = workspace.project.environments[name]
    url = spec.publish_to or ""
    problem: SealpipeError | None = None
    try:
        with primary(workspace, name) as target:
            check = _state(workspace, name, pins, target)
    except SealpipeError as error:
        problem = error
    if problem is not None:
        mark = "unknown" if isinstance(problem, StoreError) and not named else "problem"
        check = _failed(name, problem, mark)
        check = check._replace(text=f"{url}  {check.text}")
    yield check
    stores = [(url, ""), *((copy, f"mirror {copy}: ") for copy in spec.mirrors)]
    stores += [(spec.tree.at, f"tree {spec.tree.at}: ")] if spec.tree is not None else []
    for store, label in stores:
        asked = Asked(store, workspace.root, f"{name}/doctor/", publisher, named=named)
        for fact in store_facts(asked):
            yield Check(name, fact.mark, label + fact.text, fact.hint)


def diagnose_store(url: str, environ: Environ, *, base: str) -> Iterator[Check]:
    """One store by its URL, in or outside of a repository. Who has a signing key is taken for a publisher."""
    problem: SealpipeError | None = None
    publisher = False
    try:
        section = scheme_of(url)
        publisher = bool(find_signing_keys(environ))
    except UsageError:
        raise
    except SealpipeError as error:
        problem = error
    if problem is not None:
        yield _failed("you", problem)
    for fact in store_facts(Asked(url, base, "doctor/", publisher, named=True)):
        yield Check(section, fact.mark, fact.text, fact.hint)


def _publishes(workspace: Workspace, name: str, environ: Environ) -> bool:
    """Whether a key that is found here may publish to an environment."""
    if workspace.trust is None:
        return False
    try:
        mine = {key.public for key in find_signing_keys(environ)}
    except SealpipeError:
        return False
    return bool(mine & publishing_keys(workspace.trust, name))


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
