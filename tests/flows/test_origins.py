"""Where each value of a release came from: as the parser has it, also where it was read without it."""

from __future__ import annotations

from pathlib import Path

from sealpipe.checks.locate import Locator, deciding
from sealpipe.flows.drafts import origins_of
from sealpipe.looking.reading import leaf_paths
from sealpipe.paths import to_pointer
from sealpipe.stages.load import load
from sealpipe.stages.validate import validate
from sealpipe.trees import WorkTree

ROOT = Path(__file__).parent.parent.parent


def test_every_value_of_the_example_has_the_line_that_the_parser_gives() -> None:
    configs = validate(load(WorkTree(str(ROOT)))).configs
    assert len(configs) > 3
    layers = set()
    for config in configs.values():
        layered, expected, locator = config.config, {}, Locator()
        for path in leaf_paths(layered.values, layered.merge_keys):
            document, local = deciding(layered.documents, layered.values, layered.merge_keys, path)
            where = locator.place(document, local, key=True)
            expected[to_pointer(path)] = f"{where.file}:{where.line}"
            layers.add(document.file)
        assert origins_of(config, Locator()) == expected
        assert list(origins_of(config, Locator())) == list(expected)
    assert len(layers) > len(configs)
