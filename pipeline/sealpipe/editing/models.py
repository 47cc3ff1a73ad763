"""The JSON Schema of a pydantic class, asked of another process: user code never runs in ours."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from sealpipe.errors import UsageError

CLASS_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_TIMEOUT = 60.0
# Run with the user's own import path. The last line is ours, whatever the module prints.
_PROGRAM = """\
import importlib, json, sys
sys.path.insert(0, "")
name, _, path = sys.argv[1].partition(":")
def marked(cls, core_schema, handler):
    return {**handler(core_schema), "writeOnly": True}
try:
    from pydantic import Secret
    # SecretStr says that it is secret, Secret[int] does not. Set before the models are built.
    Secret.__get_pydantic_json_schema__ = classmethod(marked)
except ImportError:
    pass
try:
    found = importlib.import_module(name)
    for part in path.split("."):
        found = getattr(found, part)
    schema = found.model_json_schema(by_alias=True, mode="validation")
except ModuleNotFoundError as error:
    print("\\n" + json.dumps({"problem": f"there is no module {error.name}"}))
except AttributeError:
    print("\\n" + json.dumps({"problem": "the module has no such pydantic class"}))
except BaseException as error:
    print("\\n" + json.dumps({"problem": f"importing it raised {type(error).__name__}"}))
else:
    print("\\n" + json.dumps({"schema": schema}))
"""


def model_schema(name: str, *, folder: str) -> dict[str, Any]:
    """The schema of `module:Class`, imported in `folder`. Raises UsageError [no-model].

    The active virtual environment's Python imports it, where there is one; else ours.
    """
    if not CLASS_NAME.fullmatch(name):
        raise UsageError("usage", "--schema takes module:Class, such as shop.settings:Checkout")
    python = python_of_user()
    problem = ""
    answer: dict[str, Any] = {}
    try:
        done = subprocess.run(
            [python, "-c", _PROGRAM, name],
            cwd=folder,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
        answer = json.loads(lines[-1]) if lines else {}
        problem = answer.get("problem", "") if "schema" not in answer else ""
    except subprocess.TimeoutExpired:
        problem = f"importing it took more than {_TIMEOUT:.0f} s"
    except ValueError:
        problem = "it gave no schema"
    schema = answer.get("schema")
    if problem or not isinstance(schema, dict):
        raise UsageError(
            "no-model",
            f"no schema from {name}: {problem or 'it gave none'}",
            why=[f"imported with {python} in {folder}"],
        )
    return schema


def python_of_user() -> str:
    """The Python of the active virtual environment, where there is one; else ours."""
    active = os.environ.get("VIRTUAL_ENV")
    found = Path(active, "bin/python") if active else None
    return str(found) if found is not None and found.exists() else sys.executable
