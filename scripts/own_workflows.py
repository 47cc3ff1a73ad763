"""Writes this repository's own config-*.yml: the shipped templates, with two differences.

The program comes from the checkout, and publishing waits until somebody has set the repository variable
SEALPIPE_TRUST (the example's environments have no GitHub environment by themselves).
"""

from __future__ import annotations

from pathlib import Path

from sealpipe.github.workflows import workflow_files
from sealpipe.stages.load import load
from sealpipe.trees import WorkTree

ROOT = Path(__file__).resolve().parent.parent
INSTALL = "run: python -m pip install --quiet --disable-pip-version-check --requirement .github/sealpipe.txt"
OWN_INSTALL = 'run: make .venv/.runtime && echo "$PWD/.venv/bin" >> "$GITHUB_PATH"'
PUBLISH = "  publish:\n"
OWN_PUBLISH = "  publish:\n    if: ${{ vars.SEALPIPE_TRUST != '' }}\n"


def own_workflows(root: Path = ROOT) -> dict[str, str]:
    """Path -> content of the configuration workflows as they stand in this repository."""
    project = load(WorkTree(str(root))).project
    return {
        path: text.replace(INSTALL, OWN_INSTALL).replace(PUBLISH, OWN_PUBLISH)
        for path, text in workflow_files(project).items()
        if path.startswith(".github/workflows/")
    }


def main() -> None:
    for path, text in own_workflows().items():
        (ROOT / path).write_text(text, encoding="utf-8")
        print("wrote", path)


if __name__ == "__main__":
    main()
