"""What a release of the code that is still in service would refuse.

`schemas/running/<service>/<release>.schema.json` is the schema of a service's settings class as that release
has it. A service leaves out keys that it does not know, so an extra key is nothing; a key that is gone, of
another type or out of its range stops the release.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sealpipe.checks.locate import Locator, deciding
from sealpipe.errors import Finding, InputError, Where
from sealpipe.model import LayeredConfig, SchemaFile
from sealpipe.paths import show_path
from sealpipe.schemas.compile import Effective, effective
from sealpipe.schemas.telling.explain import explain


class RunningCheck:
    """Compiles each schema of a release once."""

    def __init__(self, running: Mapping[str, tuple[SchemaFile, ...]], locator: Locator) -> None:
        self._running = running
        self._locator = locator
        self._compiled: dict[str, Effective | None] = {}

    def findings(self, config: LayeredConfig) -> Iterator[Finding]:
        """What of a merged configuration some release in service would refuse, said per release."""
        for file in self._running.get(config.unit.service, ()):
            schema = self._schema(file)
            if schema is not None:
                yield from self._refused(config, file, schema)

    def broken(self, service: str) -> Iterator[Finding]:
        """Files of a service that are no usable schemas: nothing can be held against them."""
        for file in self._running.get(service, ()):
            if self._schema(file) is None:
                yield Finding(
                    "bad-schema",
                    "the schema of a running release cannot be used",
                    Where(file.file),
                    hint=("sealpipe schema export MODULE:CLASS", f"or, when it is gone: git rm {file.file}"),
                )

    def _schema(self, file: SchemaFile) -> Effective | None:
        if file.file not in self._compiled:
            opened = SchemaFile(file.name, file.file, file.text, tolerant(file.schema))
            try:
                self._compiled[file.file] = effective({file.name: opened}, file.name, ())
            except InputError:
                self._compiled[file.file] = None
        return self._compiled[file.file]

    def _refused(self, config: LayeredConfig, file: SchemaFile, schema: Effective) -> Iterator[Finding]:
        release = file.file.rpartition("/")[2].removesuffix(".schema.json")
        for problem in schema.problems(config.values):
            for cause in explain(problem, schema, config.values):
                yield self._finding(config, file, release, cause.path, cause.what, absent=cause.absent)
        for path in schema.plaintext(config.values):
            what = "it is not sealed, and that release takes it as a secret"
            yield self._finding(config, file, release, path, what)

    def _finding(
        self,
        config: LayeredConfig,
        file: SchemaFile,
        release: str,
        path: Any,
        what: str,
        *,
        absent: bool = False,
    ) -> Finding:
        standing = path[:-1] if absent else path
        document, local = deciding(config.documents, config.values, config.merge_keys, standing)
        return Finding(
            "running-release",
            f"{release} of {config.unit.service} is in service and would refuse this: {what}",
            self._locator.place(document, local, key=absent),
            show_path(path),
            (f"by {file.file}",),
            (f"keep it until {release} is gone, then: git rm {file.file}",),
        )


def tolerant(schema: Any) -> Any:
    """The schema as a service reads it that reports keys it does not know: closed maps are open."""
    if isinstance(schema, list):
        return [tolerant(inner) for inner in schema]
    if not isinstance(schema, Mapping):
        return schema
    opened = {
        key: inner if key in ("const", "enum", "default", "examples") else tolerant(inner)
        for key, inner in schema.items()
    }
    if opened.get("additionalProperties") is False and "properties" in opened:
        del opened["additionalProperties"]
    if opened.get("unevaluatedProperties") is False:
        del opened["unevaluatedProperties"]
    return opened
