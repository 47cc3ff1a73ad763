"""The property tests of the suite at as many examples as fit into the time, each with its share.

    python campaign/fuzz_laws.py [--seconds N] [NAME …]      NAME: part of a test's name

Round trips, merge laws, edits against a re-parse, the views of who decides. A failing example is shrunk and
shown, and kept below .hypothesis/ so that the suite tries it first.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "pipeline"), str(ROOT / "tests")]
ROUND = 300  # examples between two looks at the clock


def laws() -> Iterator[tuple[str, Callable[[], None]]]:
    """Every test with `@given` that needs nothing from pytest."""
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        if "@given" not in file.read_text(encoding="utf-8"):
            continue
        name = file.relative_to(ROOT / "tests").as_posix()
        spec = importlib.util.spec_from_file_location("laws_" + name.replace("/", "_")[:-3], file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        for key, test in vars(module).items():
            mine = hasattr(test, "hypothesis") and not hasattr(test, "pytestmark") and key.startswith("test_")
            if mine and not _needs_fixtures(test):
                yield f"{name}::{key}", test


def _needs_fixtures(test: Any) -> bool:
    import inspect

    return bool(inspect.signature(test).parameters)


def run(test: Any, seconds: float) -> int:
    """How many examples were tried. Raises what the test raises."""
    from hypothesis import HealthCheck, Phase, settings

    test._hypothesis_internal_use_settings = settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    tried = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        test()
        tried += ROUND
    return tried


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("CAMPAIGN_SECONDS", "600")))
    given = parser.parse_args()
    chosen = [(name, test) for name, test in laws() if not given.names or any(n in name for n in given.names)]
    total = 0
    for name, test in chosen:
        tried = run(test, given.seconds / len(chosen))
        total += tried
        print(f"{tried:8} {name}", flush=True)
    print(f"laws: {total} examples of {len(chosen)} properties, no failure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
