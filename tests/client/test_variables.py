"""Values for programs without a client: names that cannot be mistaken, texts that programs can read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sealpipe.client.opened import Opened
from sealpipe.client.variables import file_text, revealed, variables_of
from sealpipe.errors import RefusedError


def texts(values: dict[str, Any], service: str = "shop-api") -> dict[str, str]:
    return {name: found.text for name, found in variables_of(service, values).items()}


def test_names_and_texts() -> None:
    values = {
        "db": {"host": "h", "pool-max": 20, "ratio": 0.5, "on": True, "none": None, "empty": {}},
        "hosts": ["a", {"b": 1}],
        "password": Opened("pä$$", "str"),
        "cert": Opened(b"\x00\x01", "bytes"),
        "creds": Opened({"user": "u"}, "object"),
        "pin": Opened(7, "int"),
    }
    assert texts(values) == {
        "SHOP_API__DB__HOST": "h",
        "SHOP_API__DB__POOL_MAX": "20",
        "SHOP_API__DB__RATIO": "0.5",
        "SHOP_API__DB__ON": "true",
        "SHOP_API__DB__EMPTY": "{}",
        "SHOP_API__HOSTS": '["a",{"b":1}]',
        "SHOP_API__PASSWORD": "pä$$",
        "SHOP_API__CERT": "AAE=",
        "SHOP_API__CREDS": '{"user":"u"}',
        "SHOP_API__PIN": "7",
    }


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"a-b": 1, "a_b": 2}, "a_b: has the name of /a-b"),
        ({"Host": 1, "host": 2}, "host: has the name of /Host"),
        ({"a": {"b": 1}, "a__b": 2}, "a__b: `__` separates"),
        ({"a": {"_b": 1}}, "a._b: `__` separates"),
        ({"a.b": 1}, "/a.b: has characters"),
        ({"ü": 1}, "/ü: has characters"),
        ({"a": "x\0y"}, "a: holds a NUL"),
    ],
)
def test_what_no_variable_can_carry_is_refused_by_name(values: dict[str, Any], shown: str) -> None:
    with pytest.raises(RefusedError) as caught:
        variables_of("svc", values)
    assert caught.value.word == "variable-names"
    assert any(line.startswith(shown) for line in caught.value.finding.why)


def test_every_problem_is_told_and_no_value() -> None:
    with pytest.raises(RefusedError) as caught:
        variables_of("svc", {"a.b": Opened("hunter2", "str"), "c__d": Opened("hunter2", "str")})
    assert len(caught.value.finding.why) == 2
    assert "hunter2" not in str(caught.value)


def test_a_variable_does_not_print() -> None:
    assert "hunter2" not in repr(variables_of("svc", {"p": Opened("hunter2", "str")}))


def test_files() -> None:
    values = {"a": {"p": Opened("it's \\ here", "str"), "n": 1}}
    assert json.loads(file_text(".json", "svc", values)) == {"a": {"p": "it's \\ here", "n": 1}}
    assert json.loads(file_text(".yaml", "svc", values)) == revealed(values)
    assert file_text(".env", "svc", values) == "SVC__A__P='it\\'s \\\\ here'\nSVC__A__N='1'\n"


def test_a_dotenv_file_reads_back() -> None:
    from io import StringIO

    from dotenv import dotenv_values

    nasty = "q'uo\"te $HOME `x` \\ # end\nsecond line"
    text = file_text(".env", "svc", {"p": Opened(nasty, "str")})
    assert dotenv_values(stream=StringIO(text), interpolate=False) == {"SVC__P": nasty}
