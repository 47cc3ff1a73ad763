"""Would this code start on that configuration? Asked of another process: user code never runs in ours."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from sealpipe.editing.models import CLASS_NAME, python_of_user
from sealpipe.errors import InputError, SealpipeError, UsageError
from sealpipe.files import private_folder
from sealpipe.frozen import NamedTuple
from sealpipe.released import Unit
from sealpipe.serving.handing import from_files
from sealpipe.serving.serve import Carrier
from sealpipe.trees import Tree

_TIMEOUT = 120.0
# Run with the user's own import path. The last line is ours, whatever the module prints.
_PROGRAM = """\
import importlib, json, os, sys
sys.path.insert(0, "")
job = json.load(sys.stdin)
def answer(**found):
    print("\\n" + json.dumps(found))
    sys.exit()
def under(environ):
    for name in [n for n in os.environ if n.startswith("SEALPIPE_")]:
        del os.environ[name]
    os.environ.update(environ)
try:
    from sealpipe.errors import ConfigError
    from sealpipe.settings.load import load_reported
    from sealpipe.settings.source import config_of
except ImportError as error:
    answer(problem=f"{sys.executable} has no sealpipe: {error.name} is missing")
if job["units"]:
    under(next(iter(job["units"].values())))
name, _, path = job["model"].partition(":")
try:
    found = importlib.import_module(name)
    for part in path.split("."):
        found = getattr(found, part)
    service = config_of(found, "service")
except ModuleNotFoundError as error:
    answer(problem=f"there is no module {error.name}")
except AttributeError:
    answer(problem="the module has no such settings class")
except BaseException as error:
    answer(problem=f"importing it raised {type(error).__name__}")
results = {}
for unit, environ in job["units"].items():
    under(environ)
    try:
        report = load_reported(found).report
    except ConfigError as error:
        got = error.finding
        results[unit] = {"word": got.word, "what": got.what, "why": list(got.why), "hint": list(got.hint)}
    except BaseException as error:
        results[unit] = {"word": "start-failed", "what": f"it raised {type(error).__name__}"}
    else:
        results[unit] = {
            "unknown": list(report.unknown),
            "defaulted": list(report.defaulted),
            "overridden": dict(report.overridden),
        }
answer(service=service, results=results)
"""


class Trial(NamedTuple):
    """How a settings class starts on one unit's configuration, as the files have it."""

    unit: Unit
    word: str  # "" where it starts
    what: str
    why: tuple[str, ...]
    unknown: tuple[str, ...]
    defaulted: tuple[str, ...]
    overridden: Mapping[str, str]
    faked: tuple[str, ...]  # secrets that were made up: their content is not tried

    @property
    def starts(self) -> bool:
        return not self.word


def service_of(model: str, *, folder: str) -> str:
    """The service that a class names, "" where it names none. UsageError [no-model]."""
    found = _ask(model, {}, folder)
    return str(found.get("service", ""))


def trials(tree: Tree, model: str, units: Sequence[Unit], *, folder: str) -> list[Trial]:
    """The class tried on each unit: validated, sealed and signed as ever, with made-up secrets.

    Imported in `folder` with the Python of the active virtual environment. Variables of this process that
    would override settings do so here too. Raises UsageError [no-model] when it cannot be imported.
    """
    found: dict[Unit, Trial] = {}
    faked: dict[Unit, tuple[str, ...]] = {}
    with private_folder() as memory:
        given: dict[str, Mapping[str, str]] = {}
        for unit in units:
            problem: SealpipeError | None = None
            try:
                handed = from_files(tree, unit, lambda *_: {}, fake=True)
            except InputError as error:
                problem = error
            if problem is not None:
                found[unit] = _invalid(unit, problem)
                continue
            place = memory / unit.environment
            place.mkdir(mode=0o700)
            carrier = Carrier(place, unit)
            carrier.write(handed)
            faked[unit] = handed.faked
            given[str(unit)] = carrier.bootstrap()
        answers = _ask(model, given, folder) if given else {}
    for unit in units:
        if unit not in found:
            found[unit] = _trial(unit, answers["results"][str(unit)], faked[unit])
    return [found[unit] for unit in units]


def _ask(model: str, units: Mapping[str, Mapping[str, str]], folder: str) -> dict[str, Any]:
    if not CLASS_NAME.fullmatch(model):
        raise UsageError("usage", "a class is module:Class, such as shop.settings:Checkout")
    python = python_of_user()
    problem = ""
    found: dict[str, Any] = {}
    try:
        done = subprocess.run(
            [python, "-c", _PROGRAM],
            cwd=folder,
            input=json.dumps({"model": model, "units": units}).encode(),
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
        found = json.loads(lines[-1]) if lines else {}
        problem = found.get("problem", "" if "results" in found else "it ended before it answered")
    except subprocess.TimeoutExpired:
        problem = f"it took more than {_TIMEOUT:.0f} s"
    except ValueError:
        problem = "it ended before it answered"
    if problem:
        raise UsageError(
            "no-model",
            f"{model}: {problem}",
            why=[f"imported with {python} in {folder}"],
            hint=["run it where the service's code is, with its virtual environment active"],
        )
    return found


def _invalid(unit: Unit, error: SealpipeError) -> Trial:
    return Trial(unit, "invalid", error.finding.what, ("the files are not valid",), (), (), {}, ())


def _trial(unit: Unit, answer: Mapping[str, Any], faked: tuple[str, ...]) -> Trial:
    return Trial(
        unit,
        str(answer.get("word", "")),
        # The release was made for the trial: its number and digest are nobody's.
        re.sub(r" #\d+ \([0-9a-f]+\)", " as the files have it", str(answer.get("what", ""))),
        tuple(answer.get("why", ())),
        tuple(answer.get("unknown", ())),
        tuple(answer.get("defaulted", ())),
        dict(answer.get("overridden", {})),
        faked,
    )
