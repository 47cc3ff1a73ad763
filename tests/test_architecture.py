"""The direction of imports, the public names, and what a start costs."""

from __future__ import annotations

import subprocess
import sys
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
    assert "no attribute" in python("import sealpipe\ntry: sealpipe.nothing\nexcept AttributeError as e: print(e)")


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
    assert python(inspect_clean(code)) == "ok\n"


def inspect_clean(code: str) -> str:
    import textwrap

    return textwrap.dedent(code)


def test_version_imports_next_to_nothing() -> None:
    code = "import sys\nsys.argv=['sealpipe', '--version']\nfrom sealpipe.cli.main import main\ntry: main()\nexcept SystemExit: pass"
    loaded = modules_after(code)
    heavy = {"click", "yaml", "nacl", "jsonschema", "jsonschema_rs", "pydantic", "urllib3", "rfc8785", "asyncio", "rich"}
    assert not heavy & loaded


def test_a_service_loads_without_yaml_schema_and_command_line() -> None:
    loaded = modules_after("from sealpipe import load, PublishedSettings")
    assert "pydantic_settings" in loaded
    assert not {"click", "yaml", "jsonschema", "jsonschema_rs", "rfc8785", "boto3", "kazoo"} & loaded


def test_the_errors_module_is_cheap() -> None:
    assert not {"pydantic", "nacl", "yaml", "click", "dataclasses"} & modules_after("import sealpipe.errors")
