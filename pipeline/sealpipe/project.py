"""sealpipe.yaml as a value: environments in order, what they extend, where they publish, services, limits."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sealpipe.errors import Finding, InputError, Where
from sealpipe.frozen import field, frozen
from sealpipe.paths import Concrete, show_path
from sealpipe.released import Unit

FORMAT = 1
SHARED = "_all"  # the document that every service of an environment inherits
DEFAULT_BASE = "base"
NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?")
NAME_LIMIT = 63

WhereOf = Callable[[Concrete], Where | None]
"""The place of a key in the file; asked only when something is wrong there."""


@frozen
class TreeSpec:
    """Plain keys beside the releases, for programs that do not read these."""

    layout: str  # keys or yaml
    at: str  # address of a store; the services' folders stand right below it
    services: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.layout} at {self.at} of {', '.join(self.services) or 'no service'}"


@frozen
class EnvironmentSpec:
    """One entry of `environments`."""

    name: str
    extends: str | None = None  # the default is already filled in
    publish_to: str | None = None
    mirrors: tuple[str, ...] = ()
    inherit_services: bool = False
    tree: TreeSpec | None = None


@frozen
class ServiceSpec:
    """One entry of `services`; a service needs none."""

    name: str
    layers: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    renamed_from: str | None = None


@frozen
class Limits:
    """What a plan takes without an explicit flag."""

    removed_keys: float = 0.30  # share of a unit's keys
    growth: float = 2.0  # times the size before


_DEFAULTS = Limits()


@frozen
class Project:
    """Made by `parse_project`."""

    id: str
    environments: Mapping[str, EnvironmentSpec]
    services: Mapping[str, ServiceSpec] = field(default_factory=dict)
    limits: Limits = _DEFAULTS

    def chain(self, environment: str) -> tuple[str, ...]:
        """The environments that this one is made of, lowest first, itself last. Raises KeyError."""
        found = [environment]
        while (above := self.environments[found[-1]].extends) is not None:
            found.append(above)
        return tuple(reversed(found))

    def abstract(self, environment: str) -> bool:
        """Whether the environment only lends its layers and is never published. Raises KeyError."""
        return self.environments[environment].publish_to is None

    def layers(self, service: str) -> tuple[str, ...]:
        """The shared layers that a service lists, besides `_all`."""
        spec = self.services.get(service)
        return spec.layers if spec else ()


def layer_ids(project: Project, unit: Unit) -> tuple[tuple[str, str], ...]:
    """(environment, document name) of all that a unit is merged from, lowest first; files may be missing."""
    names = (SHARED, *project.layers(unit.service), unit.service)
    return tuple((environment, name) for environment in project.chain(unit.environment) for name in names)


def is_name(text: object) -> bool:
    """Whether this can name a service or environment: `[a-z0-9]([a-z0-9_-]*[a-z0-9])?`, at most 63 long."""
    return isinstance(text, str) and len(text) <= NAME_LIMIT and NAME.fullmatch(text) is not None


def is_document_name(text: str) -> bool:
    """Whether this can name a layer's file: a service, or `_` and a name."""
    return is_name(text[1:] if text.startswith("_") else text)


NAME_HINT = "names are made of a-z, 0-9, - and _, and begin and end with a letter or digit"
_TOP = ("format", "project", "environments", "services", "limits")
_ENVIRONMENT = ("extends", "publish_to", "mirrors", "services", "tree")
_SERVICE = ("layers", "owners", "renamed_from")
_TREE = ("layout", "at", "services")


def parse_project(data: Mapping[str, Any], where: WhereOf) -> Project:
    """Read sealpipe.yaml's values. Raises InputError with everything that is wrong in it.

    Whether a store exists or can be reached, and whether the folders exist, is not checked.
    """
    reader = _Reader(where)
    reader.known(data, (), _TOP)
    if data.get("format") != FORMAT or isinstance(data.get("format"), bool):
        given = data.get("format")
        if isinstance(given, int) and given > FORMAT:
            what = f"`format` is {given}: a newer sealpipe wrote this; yours knows {FORMAT}"
            reader.add("bad-format", ("format",), what, hint="pip install --upgrade sealpipe")
        else:
            reader.add("bad-format", ("format",), f"`format` must be {FORMAT}", hint=f"format: {FORMAT}")
    project = data.get("project")
    if not isinstance(project, str) or not re.fullmatch(r"[0-9a-f]{32}", project):
        hint = "`sealpipe init` makes one; put it in quotes when it has digits only"
        reader.add(
            "bad-project-id", ("project",), "`project` must be 32 hex digits in small letters", hint=hint
        )
    environments = _environments(reader, reader.map(data, ("environments",)))
    services = {
        name: _service(reader, name, value)
        for name, value in reader.map(data, ("services",)).items()
        if reader.name(name, ("services", name))
    }
    limits = _limits(reader, reader.map(data, ("limits",)))
    if not environments and not reader.findings:
        reader.add("no-environment", ("environments",), "there is no environment", hint="sealpipe init")
    if reader.findings:
        raise InputError(reader.findings)
    return Project(str(project), environments, services, limits)


class _Reader:
    """Collects what is wrong, so that one run shows all of it."""

    def __init__(self, where: WhereOf) -> None:
        self.where = where
        self.findings: list[Finding] = []

    def add(self, word: str, path: Concrete, what: str, *, hint: str = "") -> None:
        place: Where | None = None
        at = path
        while place is None and at:
            place, at = self.where(at), at[:-1]
        place = place or self.where(())
        self.findings.append(Finding(word, what, place, show_path(path), hint=(hint,) if hint else ()))

    def known(self, data: Mapping[str, Any], path: Concrete, keys: Collection[str]) -> None:
        for key in data:
            if key not in keys:
                import difflib

                close = difflib.get_close_matches(key, keys, 1)
                hint = f"did you mean `{close[0]}`?" if close else f"allowed: {', '.join(keys)}"
                self.add("unknown-key", (*path, key), f"there is no setting `{key}` here", hint=hint)

    def map(self, data: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
        value = data.get(path[-1])
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.add("wrong-type", path, f"`{path[-1]}` must be a map")
            return {}
        return value

    def name(self, name: str, path: Concrete) -> bool:
        if not is_name(name):
            self.add("bad-name", path, f"`{name}` cannot be a name", hint=NAME_HINT)
            return False
        return True

    def text(self, data: Mapping[str, Any], path: tuple[str, ...]) -> str | None:
        value = data.get(path[-1])
        if value is None or (isinstance(value, str) and value):
            return value
        self.add("wrong-type", path, f"`{path[-1]}` must be text")
        return None

    def texts(self, data: Mapping[str, Any], path: tuple[str, ...]) -> tuple[str, ...]:
        value = data.get(path[-1])
        if value is None:
            return ()
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            if len(set(value)) == len(value):
                return tuple(value)
            self.add("duplicate-item", path, f"`{path[-1]}` names something twice")
            return ()
        self.add("wrong-type", path, f"`{path[-1]}` must be a list of texts", hint=f"{path[-1]}: [one, two]")
        return ()


def _environments(reader: _Reader, data: Mapping[str, Any]) -> dict[str, EnvironmentSpec]:
    found: dict[str, EnvironmentSpec] = {}
    for name, value in data.items():
        path = ("environments", name)
        if not reader.name(name, path):
            continue
        found[name] = _environment(reader, name, reader.map(data, path), DEFAULT_BASE in data)
        if value is None:
            reader.add("wrong-type", path, f"`{name}` must be a map", hint=f"{name}: {{}}")
    for name, spec in found.items():
        if spec.extends is not None and spec.extends not in data:
            import difflib

            close = difflib.get_close_matches(spec.extends, list(found), 1)
            hint = f"did you mean `{close[0]}`?" if close else f"environments here: {', '.join(found)}"
            what = f"`{name}` extends `{spec.extends}`, which is no environment of this project"
            reader.add("unknown-environment", ("environments", name, "extends"), what, hint=hint)
    _find_cycles(reader, found)
    _find_overlaps(reader, found)
    return found


def _find_overlaps(reader: _Reader, environments: Mapping[str, EnvironmentSpec]) -> None:
    """A plain tree inside of another address, or around one: each would take the other's keys for strays."""
    taken = [
        (url, f"{name}.{key}")
        for name, spec in environments.items()
        for key, urls in (("publish_to", (spec.publish_to,)), ("mirrors", spec.mirrors))
        for url in urls
        if url
    ]
    for name, spec in environments.items():
        if spec.tree is None:
            continue
        other = next((at for url, at in taken if _nested(url, spec.tree.at)), None)
        if other is not None:
            what = f"the tree of `{name}` and `{other}` stand inside of one another"
            hint = "give the tree a place of its own, for example consul://127.0.0.1:8500/plain"
            reader.add("tree-overlap", ("environments", name, "tree", "at"), what, hint=hint)
        taken.append((spec.tree.at, f"{name}.tree"))


def _nested(one: str, other: str) -> bool:
    first, second = (re.sub(r"[?#].*", "", url).rstrip("/") + "/" for url in (one, other))
    return first.startswith(second) or second.startswith(first)


def _find_cycles(reader: _Reader, environments: Mapping[str, EnvironmentSpec]) -> None:
    told: set[str] = set()
    for name in environments:
        seen: list[str] = []
        at: str | None = name
        while at is not None and at in environments and at not in seen:
            seen.append(at)
            at = environments[at].extends
        if at in seen and at is not None and at not in told:
            circle = seen[seen.index(at) :]
            told.update(circle)
            what = f"environments extend each other in a circle: {' > '.join([*circle, circle[0]])}"
            path = ("environments", circle[0], "extends")
            reader.add("extends-cycle", path, what, hint="take one `extends` out (`extends: null` for none)")


def _environment(reader: _Reader, name: str, data: Mapping[str, Any], has_base: bool) -> EnvironmentSpec:
    path = ("environments", name)
    reader.known(data, path, _ENVIRONMENT)
    extends = reader.text(data, (*path, "extends"))
    if "extends" not in data and has_base and name != DEFAULT_BASE:
        extends = DEFAULT_BASE
    services = data.get("services")
    if services not in (None, "inherit"):
        reader.add(
            "not-allowed", (*path, "services"), "`services` can only be `inherit`", hint="services: inherit"
        )
    if services == "inherit" and extends is None:
        what = f"`{name}` inherits services and extends nothing"
        reader.add("not-allowed", (*path, "services"), what, hint="say which one: extends: production")
    publish_to = reader.text(data, (*path, "publish_to"))
    mirrors = reader.texts(data, (*path, "mirrors"))
    if mirrors and publish_to is None:
        what = f"`{name}` has mirrors and no `publish_to`"
        reader.add("not-allowed", (*path, "mirrors"), what, hint="a mirror copies what `publish_to` has")
    _urls(reader, (*path, "publish_to"), [publish_to] if publish_to else [])
    _urls(reader, (*path, "mirrors"), mirrors)
    tree = _tree(reader, path, data)
    return EnvironmentSpec(name, extends, publish_to, mirrors, services == "inherit", tree)


def _urls(reader: _Reader, path: Concrete, urls: Iterable[str]) -> None:
    for url in urls:
        if not re.match(r"[a-z][a-z0-9+.-]*:.", url) or re.search(r"[\s\x00-\x1f]", url):
            hint = "for example file:.sealpipe/store or file:/srv/config"
            reader.add("bad-url", path, "this is not the address of a store", hint=hint)
        elif "@" in url.partition("://")[2].partition("/")[0]:
            hint = "credentials come from the environment: CONSUL_HTTP_TOKEN, ETCDCTL_USER, AWS_ACCESS_KEY_ID"
            reader.add(
                "credentials-in-url", path, "a store's address holds no user and no password", hint=hint
            )


def _tree(reader: _Reader, above: tuple[str, ...], data: Mapping[str, Any]) -> TreeSpec | None:
    path = (*above, "tree")
    if data.get("tree") is None:
        return None
    tree = reader.map(data, path)
    reader.known(tree, path, _TREE)
    layout = reader.text(tree, (*path, "layout")) or "keys"
    if layout not in ("keys", "yaml"):
        reader.add("not-allowed", (*path, "layout"), "`layout` must be `keys` or `yaml`")
    at = reader.text(tree, (*path, "at"))
    if at is None:
        reader.add("missing-key", path, "a tree needs `at`, the address it is written to")
    else:
        _urls(reader, (*path, "at"), [at])
    services = reader.texts(tree, (*path, "services"))
    for name in services:
        reader.name(name, (*path, "services"))
    if data.get("publish_to") is None:
        what = "a tree is made of what is published, and there is no `publish_to`"
        reader.add("not-allowed", path, what, hint="a tree belongs to an environment that is published")
    return TreeSpec(layout, at or "", services)


def _service(reader: _Reader, name: str, value: Any) -> ServiceSpec:
    path = ("services", name)
    data = reader.map({name: value}, path)
    reader.known(data, path, _SERVICE)
    layers = reader.texts(data, (*path, "layers"))
    for layer in layers:
        if not layer.startswith("_") or not is_document_name(layer) or layer == SHARED:
            hint = (
                f"shared layers are called _NAME; `{SHARED}` is there for every service without being listed"
            )
            reader.add("bad-name", (*path, "layers"), f"`{layer}` cannot be a shared layer", hint=hint)
    renamed = reader.text(data, (*path, "renamed_from"))
    if renamed is not None:
        reader.name(renamed, (*path, "renamed_from"))
    return ServiceSpec(name, layers, reader.texts(data, (*path, "owners")), renamed)


def _limits(reader: _Reader, data: Mapping[str, Any]) -> Limits:
    reader.known(data, ("limits",), ("removed_keys", "growth"))
    removed = _number(data.get("removed_keys", _DEFAULTS.removed_keys), "%", 100)
    growth = _number(data.get("growth", _DEFAULTS.growth), "x", 1)
    if removed is None or removed > 1:
        path = ("limits", "removed_keys")
        reader.add(
            "wrong-type", path, "`removed_keys` must be a share from 0 to 100 %", hint="removed_keys: 30%"
        )
    if growth is None or growth < 1:
        reader.add("wrong-type", ("limits", "growth"), "`growth` must be 1x or more", hint="growth: 2x")
    return Limits(removed or 0.0, growth or 1.0)


def _number(value: Any, unit: str, scale: float) -> float | None:
    """A number, or text of a number and its unit; None for anything else."""
    if isinstance(value, str) and re.fullmatch(rf"[0-9]{{1,6}}(\.[0-9]{{1,6}})?\s*{unit}", value):
        return float(value[: -len(unit)]) / scale
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    return None
