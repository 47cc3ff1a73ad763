"""What can be said of a sealed value without any key: form, key, place, type, whether it belongs there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sealpipe.checks.locate import Locator, set_command
from sealpipe.errors import Finding, TrustError
from sealpipe.model import Document, DocumentId, Workspace
from sealpipe.paths import Concrete, Path, show_path, to_pointer, typed
from sealpipe.schemas.compile import Effective
from sealpipe.stages.layer import may_be_sealed, sealed_strings
from sealpipe.tokens import Token, key_id, parse_token, place, place_tag

PLACES_LIMIT = 200_000


def merge_keys_in(values: Mapping[str, Any], schema: Effective | None) -> dict[str, str]:
    """The keyed lists of one document: JSON Pointer of the list -> field."""
    found: dict[str, str] = {}
    waiting: list[tuple[Concrete, Any]] = [((), values)] if schema else []
    while waiting and schema:
        path, node = waiting.pop()
        inner: Any = node.items() if isinstance(node, Mapping) else enumerate(node)
        waiting += [((*path, step), value) for step, value in inner if isinstance(value, Mapping | list)]
        field = schema.merge_key_at(path) if isinstance(node, list) else None
        if field is not None:
            found[to_pointer(path)] = field
    return found


class SealedCheck:
    """The keyless checks over one workspace. `schemas` are the compiled ones, by service or layer."""

    def __init__(self, workspace: Workspace, schemas: Mapping[str, Effective], locator: Locator) -> None:
        self._workspace = workspace
        self._schemas = schemas
        self._locator = locator
        self._places: dict[bytes, str] | None = None

    def findings(self, document: Document, views: Sequence[Effective]) -> Iterator[Finding]:
        """One finding for each sealed value that is not right. `views`: the schemas that see the document."""
        if not may_be_sealed(document):
            return
        keys: dict[str, str] = {}
        for view in views:
            keys |= merge_keys_in(document.values, view)
        for path, text in sealed_strings(document.values):
            found = self._one(document, views, keys, path, text)
            if found is not None:
                yield found

    def _one(
        self,
        document: Document,
        views: Sequence[Effective],
        keys: Mapping[str, str],
        path: Concrete,
        text: str,
    ) -> Finding | None:
        malformed: TrustError | None = None
        try:
            token = parse_token(text)
        except TrustError as error:
            malformed = error
        if malformed is not None:
            return self._malformed(document, path, text, malformed)
        environment = document.id.environment
        if self._workspace.project.abstract(environment):
            what = f"`{environment}` is never published, so it has no keys: nothing can be sealed in it"
            hint = self._set_below(document, path)
            return self._finding("sealed-in-abstract", document, path, what, hint)
        named = typed(document.values, path, keys)
        if named is None:
            what = "a sealed value stands in a list without a merge key; seal the whole list"
            lists = next(n for n, step in enumerate(path) if isinstance(step, int))
            hint = f"{set_command(document.id, path[:lists])} --type array"
            return self._finding("sealed-in-list", document, path, what, hint)
        return self._by_schema(document, views, path, token) or self._by_key(document, path, named, token)

    def _malformed(self, document: Document, path: Concrete, text: str, error: TrustError) -> Finding:
        if text.startswith("ENC[AES256_GCM,"):
            what = "this is a value of a SOPS file; a release is never built from one"
            hint = set_command(document.id, path)
            return self._finding("sops-value", document, path, what, hint)
        return self._finding(
            "malformed-secret", document, path, error.finding.what, set_command(document.id, path)
        )

    def _by_schema(
        self, document: Document, views: Sequence[Effective], path: Concrete, token: Token
    ) -> Finding | None:
        for view in views:
            spot = view.walk.at(path)
            if not spot.known or any(view.walk.at(path[:depth]).secret for depth in range(len(path))):
                continue  # an unknown key, or a part of what is sealed whole: said elsewhere
            if spot.secret is None:
                what = f"{view.origin(path)} does not call this a secret, and the value is sealed"
                hints = (
                    'add "writeOnly": true to it in the schema',
                    f"or set it in clear: {set_command(document.id, path)}",
                )
                return self._finding("sealed-not-secret", document, path, what, *hints)
            if token.type not in spot.secret:
                wanted = " or ".join(sorted(spot.secret - {"bytes"}) or sorted(spot.secret))
                what = f"sealed as {token.type}; {view.origin(path)} wants {wanted or 'no sealed value'}"
                return self._finding(
                    "wrong-secret-type", document, path, what, set_command(document.id, path)
                )
        return None

    def _by_key(self, document: Document, path: Concrete, named: Path, token: Token) -> Finding | None:
        environment, name = document.id
        if token.place_tag != place_tag(place(environment, name, named)):
            found = self._known_places().get(token.place_tag)
            what = f"this value was sealed for {found or 'another place'}, not for here"
            why = () if found else ("its place is none that this repository knows",)
            hint = set_command(document.id, path)
            return self._finding("moved-secret", document, path, what, hint)._replace(why=why)
        keyring = self._workspace.keyrings.get(environment)
        if keyring is None:
            file = f"trust/{environment}.keyring.yaml"
            if any(f.where is not None and f.where.file == file for f in self._workspace.findings):
                return None
            what = f"{environment} has no keyring, so nobody can open what is sealed in it"
            return self._finding("no-keyring", document, path, what, "sealpipe doctor")
        key = keyring.keys.get(name)
        if key is not None and token.key_id == key_id(key.public):
            return None
        if key is not None and token.key_id in {key_id(public) for public, _ in key.previous}:
            what = f"sealed for an older key of {document.id}; who had that one can still open it"
            return self._finding("stale-secret", document, path, what, f"sealpipe seal {document.id}")
        what = f"sealed for a key that the keyring of {environment} does not have"
        return self._finding("unknown-key-id", document, path, what, set_command(document.id, path))

    def _set_below(self, document: Document, path: Concrete) -> str:
        project = self._workspace.project
        above = next(
            (
                name
                for name in project.environments
                if not project.abstract(name) and document.id.environment in project.chain(name)
            ),
            "ENV",
        )
        return f"remove it here, then: {set_command(DocumentId(above, document.id.name), path)}"

    def _finding(self, word: str, document: Document, path: Concrete, what: str, *hint: str) -> Finding:
        where = self._locator.place(document, path, key=True)
        return Finding(word, what, where, show_path(path), hint=tuple(hint))

    def _known_places(self) -> dict[bytes, str]:
        """The tag of every place that a secret of this repository could have. Made at the first misfit."""
        if self._places is None:
            self._places = {}
            for environment in self._workspace.project.environments:
                for name, paths in self._paths_by_name().items():
                    for path in paths:
                        if len(self._places) < PLACES_LIMIT:
                            tag = place_tag(place(environment, name, path))
                            self._places[tag] = f"{environment}/{name} {show_path(path)}"
        return self._places

    def _paths_by_name(self) -> dict[str, list[Path]]:
        found: dict[str, dict[Path, None]] = {}
        for name, schema in self._schemas.items():
            found[name] = {path: None for path, spot in schema.named() if spot.secret}
        for document in self._workspace.documents.values():
            keys = merge_keys_in(document.values, self._schemas.get(document.id.name))
            mine = found.setdefault(document.id.name, {})
            for path, _ in sealed_strings(document.values):
                named = typed(document.values, path, keys)
                if named is not None:
                    mine[named] = None
        return {name: list(paths) for name, paths in found.items()}
