"""The workflow files of a configuration repository, from the templates beside this module.

A template is a working workflow but for words like `__ENVIRONMENTS__`, so it can be read and audited as
it stands. Nothing here holds or asks for a secret: keys are named, and live in GitHub's environments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files

from sealpipe.project import Project
from sealpipe.version import VERSION

NAMES = ("config-check.yml", "config-publish.yml", "config-rollback.yml")
DEFAULT_BRANCH = "main"


def workflow_files(
    project: Project, *, branch: str = DEFAULT_BRANCH, version: str = VERSION
) -> dict[str, str]:
    """Path in the repository -> content: three workflows, the pinned version they install, code owners.

    Not checked: whether such files exist already, and whether GitHub has the environments and secrets.
    """
    words = {
        "__BRANCH__": json.dumps(branch),  # a JSON string is a YAML string
        "__ENVIRONMENTS__": ", ".join(published_by_workflow(project)),
    }
    found = {f".github/workflows/{name}": _fill(_template(name), words) for name in NAMES}
    found[".github/sealpipe.txt"] = _fill(_template("sealpipe.txt"), {"__VERSION__": version})
    found[".github/CODEOWNERS"] = code_owners(project)
    return found


def published_by_workflow(project: Project) -> tuple[str, ...]:
    """The environments that a workflow can publish, in the project's order.

    A folder of the repository itself would be filled on a runner that is thrown away: such environments
    are left out, unless there is no other.
    """
    published = [name for name in project.environments if not project.abstract(name)]
    shared = [name for name in published if not _inside(project.environments[name].publish_to or "")]
    return tuple(shared or published)


def code_owners(project: Project) -> str:
    """CODEOWNERS with the owners that sealpipe.yaml names; lines without a known owner are comments."""
    lines = [_template("CODEOWNERS").rstrip("\n")]
    for service, spec in sorted(project.services.items()):
        if spec.owners:
            owners = " ".join(spec.owners)
            lines.append(f"/environments/*/{service}.yaml {owners}")
            lines.append(f"/schemas/{service}.schema.json {owners}")
    return "\n".join(lines) + "\n"


def _inside(url: str) -> bool:
    return url.startswith("file:") and not url.startswith("file:/")


def _template(name: str) -> str:
    return files("sealpipe.github").joinpath("templates", name).read_text(encoding="utf-8")


def _fill(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text
