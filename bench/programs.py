"""Small programs that are measured: what a Python of the user's own would do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

OPEN = """\
import os, sys, time
import sealpipe.checks.trust_files  # what `load` imports when it is called
from sealpipe.keysource import need_identity
from sealpipe.opening import document_keys, open_token
from sealpipe.released import Unit
from sealpipe.stages.layer import sealed_strings
from sealpipe.stages.load import load
from sealpipe.tokens import place
from sealpipe.trees import WorkTree

began = time.perf_counter()
only = Unit("dev", sys.argv[2]) if len(sys.argv) > 2 else None  # one service, or the repository
workspace = load(WorkTree("."), only=only)
keys = document_keys(workspace.keyrings["dev"], need_identity(os.environ).read)
opened = 0
for document in workspace.documents.values():
    for path, token in sealed_strings(document.values):
        open_token(token, place(*document.id, path), keys[document.id.name])
        opened += 1
if opened != int(sys.argv[1]):
    raise SystemExit(f"opened {opened}")
print((time.perf_counter() - began) * 1000)
"""

WRITE = """\
import os, sys
source, target = sys.argv[1:]
os.makedirs(target)
at = 0
for folder, _, names in os.walk(source):
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        at += 1
        with open(os.path.join(target, str(at)), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
"""

_MODEL = """\
from pydantic import BaseModel, SecretStr
{imports}
groups = {{name: type(name, (BaseModel,), {{"__annotations__": {{
    key: SecretStr if key == "secret" else type(value) for key, value in group.items()}}}})
    for name, group in VALUES.items()}}
{settings}
"""


def published(values: Mapping[str, Any]) -> str:
    """A service that loads its published settings."""
    settings = _settings("PublishedSettings", '"__module__": __name__')
    made = _MODEL.format(imports="from sealpipe import PublishedSettings, load", settings=settings)
    return f"VALUES = {json.loads(json.dumps(values))!r}\n{made}\nload(Orders)\n"


def json_file(values: Mapping[str, Any]) -> str:
    """The same service on a JSON file with secrets in clear."""
    body = (
        '"model_config": SettingsConfigDict(json_file="../plain.json"), '
        '"settings_customise_sources": classmethod(lambda cls, settings_cls, **_: '
        "(JsonConfigSettingsSource(settings_cls),))"
    )
    imports = "from pydantic_settings import BaseSettings, JsonConfigSettingsSource, SettingsConfigDict"
    made = _MODEL.format(imports=imports, settings=_settings("BaseSettings", body))
    return f"VALUES = {json.loads(json.dumps(values))!r}\n{made}\nOrders()\n"


def _settings(base: str, body: str) -> str:
    return f'Orders = type("Orders", ({base},), {{"__annotations__": groups, {body}}})'
