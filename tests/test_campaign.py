"""The table of figures that `make campaign` ends with."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("campaign_table", ROOT / "campaign" / "table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_row_for_each_with_its_figures_and_how_it_ended(table: ModuleType) -> None:
    fuzzed = [
        "INFO:        2 files found in /x/campaign/corpus/yaml\n",
        "stat::number_of_executed_units: 612149\n",
    ]
    simulated = [
        "seeds  20   violations 0\n",
        "without a: run 3, lost\n",
        "without b: NOT MISSED in 9 runs\n",
    ]
    ran = [
        table.Ran("race", 0, 71.4, ["== \n", "race: 1000 releases | nothing lost\n", "\n"]),
        table.Ran("fuzz_bytes", 1, 600.0, fuzzed),
        table.Ran("simulate", 0, 1.0, simulated),
        table.Ran("silent", 0, 0.0, []),
    ]
    assert table.table(ran)[2:] == [
        "| `race` | race: 1000 releases \\| nothing lost | passed | 71 s |",
        "| `fuzz_bytes` | yaml: 612,149 inputs | **failed (1)** | 600 s |",
        "| `simulate` | seeds 20 violations 0<br>rules taken out: 2, without effect: 1 | passed | 1 s |",
        "| `silent` | nothing | passed | 0 s |",
    ]


def test_what_is_no_campaign_is_refused(table: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main(["race", "rase"]) == 2
    assert "there is no campaign rase" in capsys.readouterr().err
