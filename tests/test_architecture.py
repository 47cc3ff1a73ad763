"""The direction of imports, the public names, and what a start costs."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PUBLIC_MODULES = {"sealpipe", "sealpipe.testing", "sealpipe.errors", "sealpipe.stores.base"}


def python(code: str) -> str:
    """What a fresh interpreter prints; nothing of this process is imported there."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "pipeline", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules_after(code: str) -> set[str]:
    return set(python(f"{code}\nimport sys\nprint(*sys.modules)").split("\n")[-2].split())


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_facade_is_lazy_and_lists_what_it_has() -> None:
    names = python("import sealpipe\nprint(*sealpipe.__all__)").split()
    assert set(names) >= {"PublishedSettings", "load"}
    assert names == sorted(names)
    for name in names:
        python(f"from sealpipe import {name}")
    loaded = modules_after("import sealpipe")
    assert not {"pydantic", "nacl", "yaml", "click", "jsonschema_rs"} & loaded


def test_unknown_names_are_attribute_errors() -> None:
    code = "import sealpipe\ntry: sealpipe.nothing\nexcept AttributeError as e: print(e)"
    assert "no attribute" in python(code)


@pytest.mark.parametrize("module", sorted(PUBLIC_MODULES))
def test_public_modules_say_what_they_are(module: str) -> None:
    assert python(f"import {module} as m\nprint(bool(m.__doc__ and m.__doc__.strip()))").strip() == "True"


def test_errors_all_descend_from_one() -> None:
    code = """
        import inspect, sealpipe.errors as e
        for name, thing in vars(e).items():
            if inspect.isclass(thing) and issubclass(thing, Exception):
                assert issubclass(thing, e.SealpipeError), name
        print("ok")
    """
    assert python(textwrap.dedent(code)) == "ok\n"


def test_version_imports_next_to_nothing() -> None:
    loaded = modules_after("from sealpipe.cli.main import main\nmain(['--version'])")
    assert "sealpipe.cli.main" in loaded
    assert not {"click", "yaml", "nacl", "jsonschema", "jsonschema_rs", "pydantic", "urllib3"} & loaded
    assert not {"rfc8785", "asyncio", "rich", "typing", "re"} & loaded


def test_a_service_loads_without_yaml_schema_and_command_line() -> None:
    loaded = modules_after("from sealpipe import load, PublishedSettings")
    assert "pydantic_settings" in loaded
    assert not {"click", "yaml", "jsonschema", "jsonschema_rs", "rfc8785", "boto3", "kazoo"} & loaded


def test_the_errors_module_is_cheap() -> None:
    assert not {"pydantic", "nacl", "yaml", "click", "dataclasses"} & modules_after("import sealpipe.errors")


def test_the_version_is_said_once_more_and_the_same() -> None:

    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["version"]
    assert python("import sealpipe\nprint(sealpipe.__version__)").strip() == declared
