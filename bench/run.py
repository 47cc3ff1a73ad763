"""`make bench`: what a start, a load and a validation cost, as ratios of one run.

Every figure is CPU time of whole processes unless it says otherwise. Milliseconds belong to the machine
that printed them; only ratios of one run are worth comparing.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Candidate, measure, table

from repositories import FIELDS, SECRETS, Bench, many_services, published_service

ROOT = Path(__file__).resolve().parent.parent
MODEL = """\
from pydantic import BaseModel, SecretStr
{imports}
groups = {{name: type(name, (BaseModel,), {{"__annotations__": {{
    key: SecretStr if key == "secret" else type(value) for key, value in group.items()}}}})
    for name, group in VALUES.items()}}
{settings}
"""
PUBLISHED = """\
from sealpipe import PublishedSettings, load
"""
JSON_FILE = """\
from pydantic_settings import BaseSettings, JsonConfigSettingsSource, SettingsConfigDict
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure sealpipe; prints tables.")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="whose sealpipe is measured"
    )
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--services", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sealpipe-bench-") as folder:
        bench = Bench(Path(folder), options.python.absolute())
        print(f"Python {platform.python_version()}, {options.runs} interleaved runs each, CPU time\n")
        for lines in (starts(bench, options.runs), loads(bench, options.runs)):
            print("\n".join(lines))
        print("\n".join(validation(bench, options.services)))


def starts(bench: Bench, runs: int) -> list[str]:
    """The command line, on this repository's example."""
    shop = bench.folder / "shop"
    for part in ("environments", "schemas", "trust"):
        shutil.copytree(ROOT / part, shop / part)
    shutil.copy(ROOT / "sealpipe.yaml", shop)
    script = str(Path(bench.python).parent / "sealpipe")
    commands = {
        "bare python": [bench.python, "-c", "pass"],
        "sealpipe --version": [script, "--version"],
        "sealpipe --help": [script, "--help"],
        "sealpipe plan --help (imports click)": [script, "plan", "--help"],
        "sealpipe validate (example, 33 documents)": [script, "validate", "-q"],
        "sealpipe plan dev (example)": [script, "plan", "dev"],
    }
    rows = measure(
        [Candidate(name, command, shop, bench.environ) for name, command in commands.items()], runs
    )
    return table("Starting the command", rows, base="bare python")


def loads(bench: Bench, runs: int) -> list[str]:
    """A service's start: the same settings from the store, and from a JSON file with secrets in clear."""
    repository, environ = published_service(bench)
    programs = {
        "start_published": _published(bench),
        "start_json": _json(bench),
        "start_imports": "import pydantic_settings\n",
    }
    for name, text in programs.items():
        (bench.folder / f"{name}.py").write_text(text)
    candidates = [
        Candidate("bare python", [bench.python, "-c", "pass"], repository, bench.environ),
        Candidate(
            "import pydantic_settings", [bench.python, "../start_imports.py"], repository, bench.environ
        ),
        Candidate(
            "pydantic-settings, plain JSON file",
            [bench.python, "../start_json.py"],
            repository,
            bench.environ,
        ),
        Candidate(
            "sealpipe.load, file store",
            [bench.python, "../start_published.py"],
            repository,
            {**bench.environ, **environ},
        ),
    ]
    title = f"Starting a service with {FIELDS} fields and {SECRETS} secrets"
    lines = table(title, measure(candidates, runs), base="pydantic-settings, plain JSON file")
    again = subprocess.run(
        [bench.python, "../start_published.py", "again"],
        cwd=repository,
        env={**bench.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return [*lines, f"  load again in a running process: {again.stdout.strip()}", ""]


def _values(bench: Bench) -> str:
    return f"VALUES = {json.loads((bench.folder / 'plain.json').read_text())!r}\n"


def _settings(base: str, body: str) -> str:
    fields = '"__annotations__": groups'
    return f'Orders = type("Orders", ({base},), {{{fields}, {body}}})'


def _published(bench: Bench) -> str:
    settings = _settings("PublishedSettings", '"__module__": __name__')
    return (
        _values(bench)
        + MODEL.format(imports=PUBLISHED, settings=settings)
        + """
import sys, time
load(Orders)
if "again" in sys.argv:
    times = []
    for _ in range(50):
        began = time.perf_counter()
        load(Orders)
        times.append(time.perf_counter() - began)
    print(f"least {min(times) * 1000:.2f} ms, median {sorted(times)[25] * 1000:.2f} ms (wall clock)")
"""
    )


def _json(bench: Bench) -> str:
    body = (
        '"model_config": SettingsConfigDict(json_file="../plain.json"), '
        '"settings_customise_sources": classmethod(lambda cls, settings_cls, **_: '
        "(JsonConfigSettingsSource(settings_cls),))"
    )
    settings = _settings("BaseSettings", body)
    return _values(bench) + MODEL.format(imports=JSON_FILE, settings=settings) + "\nOrders()\n"


def validation(bench: Bench, services: int) -> list[str]:
    """All documents of a repository, merged pass included, against a validator that only knows files."""
    repository = many_services(bench, services)
    other = shutil.which("check-jsonschema", path=str(Path(sys.executable).parent))
    script = str(Path(bench.python).parent / "sealpipe")
    candidates = [Candidate("sealpipe validate", [script, "validate", "-q"], repository, bench.environ)]
    if other:
        files = sorted(str(file) for file in (repository / "environments").rglob("*.yaml"))
        command = [other, "--schemafile", str(bench.folder / "rules.json"), *files]
        candidates.append(Candidate("check-jsonschema, each file alone", command, repository, bench.environ))
    rows = measure(candidates, 3)
    title = f"Validating {services} services ({2 * services} documents, both passes)"
    return table(title, rows, base="sealpipe validate")


if __name__ == "__main__":
    main()
