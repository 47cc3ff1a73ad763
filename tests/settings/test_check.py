"""What a settings class must be, and the tag by which the cache knows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, SecretStr, create_model
from pydantic_settings import BaseSettings

from sealpipe.settings.check import check_class, model_tag


class Node(BaseModel):
    name: str
    children: list[Node] = []


class Tree(BaseSettings):
    root: Node
    key: SecretStr


def settings(**fields: Any) -> type[BaseSettings]:
    return create_model("S", __base__=BaseSettings, **fields)  # type: ignore[no-any-return,call-overload]


def test_the_tag_changes_with_what_decides() -> None:
    tags = [
        model_tag(settings(a=(int, ...))),
        model_tag(settings(a=(int, 1))),
        model_tag(settings(a=(str, ...))),
        model_tag(settings(a=(int | None, ...))),
        model_tag(settings(b=(int, ...))),
        model_tag(settings(a=(int, Field(le=5)))),
        model_tag(settings(a=(int, Field(le=6)))),
        model_tag(settings(a=(Node, ...))),
        model_tag(settings(a=(list[Node], ...))),
    ]
    assert len(set(tags)) == len(tags)


def test_the_tag_does_not_change_with_what_does_not() -> None:
    assert model_tag(settings(a=(int, Field(description="x")))) == model_tag(settings(a=(int, ...)))


def test_the_tag_is_the_same_in_every_process() -> None:
    code = (
        "from test_check import Tree\nfrom sealpipe.settings.check import model_tag\nprint(model_tag(Tree))"
    )
    here = Path(__file__)
    tags = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={
                "PYTHONPATH": f"{here.parent}:{here.parents[2] / 'pipeline'}",
                "PYTHONHASHSEED": seed,
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(tags) == 1


def test_recursive_models_are_walked_once() -> None:
    check_class(Tree)
    assert len(model_tag(Tree)) == 16
