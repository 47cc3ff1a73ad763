"""Inputs made to hang, to fill the memory or to end the process: each must end in a typed error, soon.

Run as a program: `catalogue.py GROUP` tries every bomb of a group under limits and prints a line of JSON
for each: name, outcome (a word, "accepted", or what went wrong), seconds, megabytes above the start.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS, MEGABYTES = 1.0, 200
Bomb = Callable[[], object]
MIB = 1024 * 1024


# ---- YAML


def yaml(text: str | bytes) -> Bomb:
    def read() -> object:
        from sealpipe.documents.read import read_yaml

        return read_yaml(text, file="f")

    return read


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


def merges(levels: int) -> str:
    lines = ["m0: &m0 {a: 1}"]
    lines += [f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}]}}" for n in range(1, levels)]
    return "\n".join(lines)


def yaml_bombs() -> dict[str, Bomb]:
    wide = "\n".join(f"k{n}: {n}" for n in range(60_000))
    return {
        "flow lists in lists": yaml("[" * 500_000),
        "flow maps in maps": yaml("a: " + "{a: " * 200_000),
        "block lists in lists": yaml("- " * 500_000),
        "complex keys in keys": yaml("? " * 500_000),
        "block maps, each deeper": yaml("\n".join(" " * n + "a:" for n in range(1_400))),
        "billion laughs": yaml(laughs(12)),
        "quadratic aliases": yaml("a: &a " + "x" * 500_000 + "\nb: [" + "*a, " * 100_000 + "]"),
        "merge keys that double": yaml(merges(30)),
        "an alias of itself": yaml("a: &a {b: *a}"),
        "anchors without number": yaml("\n".join(f"k{n}: &a{n} x" for n in range(50_000))),
        "tags without number": yaml("\n".join(f"k{n}: !t{n} x" for n in range(50_000))),
        "a python object": yaml("a: !!python/object/apply:os.system [true]"),
        "two megabytes": yaml(b"a: " + b"x" * 2 * MIB),
        "duplicate keys": yaml("a: 1\n" * 100_000),
        "duplicate keys, late": yaml("".join(f"k{n}: 1\n" for n in range(35_000)) + "k34999: 1\n" * 35_000),
        "tabs in comments": yaml("a: 1 # \t\n" + "# \t\n" * 200_000),
        "tabs in one line": yaml("a: [" + "1,\t" * 250_000 + "1]"),
        "tabs behind values": yaml("".join(f"k{n}: 1\t\n" for n in range(60_000))),
        "keys that are lists": yaml("[a]: 1\n" * 100_000),
        "leading zeros": yaml("".join(f"k{n}: 01\n" for n in range(80_000))),
        "an integer of a million digits": yaml("a: " + "9" * 1_000_000),
        "an octal of a million digits": yaml("a: 0o" + "7" * 1_000_000),
        "a hex number of a million digits": yaml("a: 0x" + "f" * 1_000_000),
        "a float of a million digits": yaml("a: 1." + "9" * 900_000 + "e999999999"),
        "an exponent": yaml("a: 1e999999999"),
        "a directive of a megabyte": yaml("%YAML " + "1" * 900_000),
        "open quotes": yaml('a: "' + "\\\n" * 300_000),
        "a key of a megabyte": yaml("? " + "k" * 1_000_000 + "\n"),
        "bad escapes": yaml('a: "' + "\\q" * 300_000 + '"'),
        "bidi controls": yaml("a: '" + "\u202e" * 300_000 + "'"),
        "documents": yaml("--- {}\n" * 100_000),
        "bytes that are no text": yaml(b"\xff" * MIB),
        "NUL": yaml("a: " + "\0" * 500_000),
        "tabs": yaml("a:\n" + "\tb: 1\n" * 100_000),
        "templates": yaml("a: " + "{{" * 200_000),
        "more keys than a service has": lambda: merged(wide),
        "block scalars in a row": yaml("a: |\n" + " x\n" * 200_000 + "b"),
    }


def merged(text: str) -> object:
    from sealpipe.documents.read import read_yaml
    from sealpipe.errors import InputError
    from sealpipe.model import Document, DocumentId
    from sealpipe.stages.merge import merge

    document = Document(DocumentId("dev", "a"), "f", text, read_yaml(text, file="f"))
    found = merge([document], lambda _: None)
    if found.findings:
        raise InputError(found.findings)
    return found


# ---- schemas


def schema(content: dict[str, Any], values: Any = None, *, strict: bool = True) -> Bomb:
    """Lint, compile, hold `values` against it, explain: what `validate` does. A finding is an answer."""

    def check() -> object:
        from sealpipe.errors import InputError
        from sealpipe.model import SchemaFile
        from sealpipe.schemas.compile import effective
        from sealpipe.schemas.lint import lint
        from sealpipe.schemas.telling.explain import explain
        from sealpipe.stages.load import read_schema

        text = json.dumps(content)
        file = SchemaFile("s", "schemas/s.schema.json", text, read_schema(text, file="schemas/s.schema.json"))
        found = [finding for finding in lint(file) if finding.severity == "error"]
        if found:
            raise InputError(found)
        made = effective({"s": file}, "s", ())
        shown = values if values is not None else {"a": 1}
        list(made.plaintext(shown))
        problems = [*made.problems(shown), *made.part_problems(shown)]
        causes = [cause for problem in problems for cause in explain(problem, made, shown)]
        if strict and not causes:
            return "accepted"
        raise LookupError(causes[0].word if causes else "fits")

    return check


def tree(levels: int, key: str = "a", leaf: Any = "x") -> Any:
    value = leaf
    for _ in range(levels):
        value = {key: value}
    return value


def recursive(keyword: str, branches: int = 2, **more: Any) -> dict[str, Any]:
    forms = [
        {"properties": {"a": {"$ref": "#/$defs/n"}}, "minProperties": n, **more} for n in range(branches)
    ]
    node = {keyword: [*forms, {"type": "integer"}]}
    return {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": node}}


def chained(keyword: str, length: int, times: int) -> dict[str, Any]:
    defs: dict[str, Any] = {
        f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"} for _ in range(times)]} for n in range(length)
    }
    return {"properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": {**defs, f"d{length}": {"type": "string"}}}


def nested(keyword: str, depth: int, width: int = 2) -> dict[str, Any]:
    node: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        node = {keyword: [node] * width}
    return node


def pattern(expression: str, text: str) -> Bomb:
    return schema(
        {"type": "object", "properties": {"a": {"type": "string", "pattern": expression}}}, {"a": text}
    )


def schema_bombs() -> dict[str, Bomb]:
    maps = [{"k": n, "v": [n]} for n in range(5_000)]
    unnamed = {"type": "object", "patternProperties": {"^(a+)+$": {"writeOnly": True, "type": "string"}}}
    endless: dict[str, Any] = {"$ref": "#/$defs/a"}
    return {
        "nested quantifiers": pattern("^(a+)+$", "a" * 40 + "!"),
        "nested quantifiers, deeper": pattern("^((a+)+)+$", "a" * 2_000 + "!"),
        "overlapping alternatives": pattern("^(a|a)*$", "a" * 40 + "!"),
        "overlapping classes": pattern(r"^(\w+\s?)*$", "word " * 200 + "!"),
        "backtracking with a look-ahead": pattern("^(?=(a+))\\1(a+)+$", "a" * 40 + "!"),
        "a back-reference": pattern("^(a*)*\\1$", "a" * 5_000 + "!"),
        "counted repetition of repetition": pattern("^(a{1,1000}){1,1000}$", "a" * 5_000 + "!"),
        "a pattern that needs a gigabyte": pattern("((a{1,1000}){1,1000}){1,1000}", "a"),
        "a pattern in patternProperties": schema(unnamed, {"a" * 5_000 + "!": "x"}),
        "a pattern for key names": schema(
            {"type": "object", "propertyNames": {"pattern": "^(a+)+$"}}, {"a" * 200 + "!": 1}
        ),
        "recursive oneOf": schema(recursive("oneOf"), tree(60)),
        "recursive anyOf": schema(recursive("anyOf"), tree(60)),
        "recursive allOf": schema(recursive("allOf"), tree(60)),
        "recursive oneOf of five forms": schema(recursive("oneOf", 5), tree(60)),
        "recursive oneOf that is not so deep": schema(recursive("oneOf", 3), tree(6)),
        "recursive oneOf of secrets": schema(recursive("oneOf", 2, writeOnly=True), tree(60)),
        "recursive not": schema(recursive("anyOf", 2, **{"not": {"required": ["b"]}}), tree(60)),
        "recursion through items": schema(
            {
                "properties": {"a": {"$ref": "#/$defs/n"}},
                "$defs": {"n": {"oneOf": [{"items": {"$ref": "#/$defs/n"}, "minItems": n} for n in (0, 1)]}},
            },
            {"a": json.loads("[" * 50 + "1" + "]" * 50)},
        ),
        "recursion through patternProperties": schema(
            {
                "patternProperties": {"^a": {"$ref": "#"}, "a$": {"$ref": "#"}, "a": {"$ref": "#"}},
                "type": "object",
            },
            tree(60),
        ),
        "references that double": schema(chained("anyOf", 40, 2)),
        "references that double under allOf": schema(chained("allOf", 40, 2)),
        "references that double under oneOf": schema(chained("oneOf", 40, 3)),
        "a chain of ten thousand references": schema(
            {
                "properties": {"a": {"$ref": "#/$defs/d0"}},
                "$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(5_000)}
                | {"d5000": {"type": "string"}},
            }
        ),
        "a reference to itself": schema(
            {"properties": {"a": endless}, "$defs": {"a": {"$ref": "#/$defs/a"}}}
        ),
        "references in a circle": schema(
            {
                "properties": {"a": {"$ref": "#/$defs/a"}},
                "$defs": {
                    "a": {"allOf": [{"$ref": "#/$defs/b"}]},
                    "b": {"anyOf": [{"$ref": "#/$defs/a"}, {}]},
                },
            }
        ),
        "oneOf in oneOf in the text": schema({"properties": {"a": nested("oneOf", 12)}}),
        "anyOf in anyOf in the text": schema({"properties": {"a": nested("anyOf", 13)}}),
        "a schema nested ten thousand deep": schema(tree(900, "not", {"type": "string"})),
        "uniqueItems over five thousand maps": schema(
            {"properties": {"a": {"type": "array", "uniqueItems": True}, "b": False}}, {"a": maps, "b": 1}
        ),
        "an enum of a hundred thousand": schema(
            {"properties": {"a": {"enum": [f"v{n}" for n in range(60_000)]}}}, {"a": "v60001"}
        ),
        "ten thousand properties": schema(
            {
                "properties": {f"p{n}": {"type": "integer"} for n in range(10_000)},
                "additionalProperties": False,
            },
            {f"q{n}": n for n in range(5_000)},
        ),
        "ten thousand mistakes": schema(
            {"additionalProperties": {"type": "integer"}, "type": "object"},
            {f"q{n}": "x" for n in range(10_000)},
        ),
        "multipleOf of a tiny number": schema(
            {"properties": {"a": {"multipleOf": 1e-300}, "b": False}}, {"a": 1e300, "b": 1}
        ),
        "a bound of a thousand digits": schema({"properties": {"a": {"minimum": 10**1000}}}),
        "a length of a thousand digits": schema({"properties": {"a": {"minLength": 10**100}}}, {"a": "x"}),
    }


# ---- tokens, releases, trust


def call(module: str, function: str, *values: Any, **options: Any) -> Bomb:
    def run() -> object:
        import importlib

        return getattr(importlib.import_module(module), function)(*values, **options)

    return run


def format_bombs() -> dict[str, Bomb]:
    deep, quoted = b"[" * 500_000, b'"' * 500_000
    token, tokens = "ENC[NACL1,type:str,data:{}]", "sealpipe.tokens"
    release = b"SEALPIPE-RELEASE-1\n" + bytes(16) + b"\xff" * 4 * MIB
    many = {"format": 1, "keys": {f"k{n}": {"sign": "ed25519:x"} for n in range(20_000)}}
    places = ".".join(["a"] * 200_000)
    return {
        "a token of ten megabytes": call(tokens, "parse_token", token.format("A" * 10 * MIB)),
        "a token with a tail": call(tokens, "parse_token", token.format("A" * 200) + "x" * MIB),
        "a token that never ends": call(tokens, "parse_token", "ENC[NACL1,type:str,data:" + "A" * 10 * MIB),
        "a token of brackets": call(tokens, "parse_token", "ENC[" * MIB),
        "JSON in JSON": call("sealpipe.canonical", "strict_json", deep),
        "JSON that closes": call("sealpipe.canonical", "strict_json", deep + b"]" * 500_000),
        "JSON quotes": call("sealpipe.canonical", "strict_json", quoted + b"\\"),
        "JSON backslashes": call("sealpipe.canonical", "strict_json", b'"' + b"\\" * 1_000_001 + b'"'),
        "JSON number": call("sealpipe.canonical", "strict_json", b"9" * 1_000_000),
        "JSON exponent": call("sealpipe.canonical", "strict_json", b"1e" + b"9" * 1_000_000),
        "JSON keys twice": call("sealpipe.canonical", "strict_json", b"{" + b'"a":1,' * 200_000 + b'"b":1}'),
        "a release of noise": call("sealpipe.releases.wire", "split_release", release),
        "a release that lies of its length": call(
            "sealpipe.releases.wire",
            "split_release",
            b"SEALPIPE-RELEASE-1\n" + bytes(16) + b"\x01\x01\x01" + b"\xff" * 40,
        ),
        "a release of five megabytes": call("sealpipe.releases.wire", "split_release", release + b"x" * MIB),
        "a state of noise": call(
            "sealpipe.releases.wire", "split_state", b"SEALPIPE-STATE-1\n" + b"\xff" * 4 * MIB
        ),
        "a payload in a payload": call("sealpipe.releases.payloads", "payload_from_json", deep),
        "a draft in a draft": call(
            "sealpipe.releases.drafts", "draft_from_json", b'{"values":' + b'{"a":' * 100_000
        ),
        "trust of many keys": call("sealpipe.trust", "parse_trust", many),
        "trust of noise": call("sealpipe.trust", "trust_from_json", b"{" * 500_000),
        "a keyring of noise": call("sealpipe.keyrings", "parse_keyring", many, "f"),
        "pins": call("sealpipe.roots", "parse_pins", "st1-" + "a" * MIB),
        "pins without number": call("sealpipe.roots", "parse_pins", "st1-a," * 200_000),
        "an age key of a megabyte": call(
            "sealpipe.crypto.keys", "parse_identity", "AGE-SECRET-KEY-1" + "Q" * MIB
        ),
        "a recipient of a megabyte": call("sealpipe.crypto.keys", "parse_recipient", "age1" + "q" * MIB),
        "a card": call("sealpipe.membership.cards", "parse_card", "sealpipe-card-1 " * 100_000),
        "an opened secret of brackets": call(
            "sealpipe.crypto.spelling", "decode_plain", b"[" * 60_000, "array"
        ),
        "an opened secret of digits": call("sealpipe.crypto.spelling", "decode_plain", b"9" * 60_000, "int"),
        "an opened secret that is too long": call(
            "sealpipe.crypto.spelling", "decode_plain", b"x" * MIB, "str"
        ),
        "a path of dots": call("sealpipe.paths", "parse_path", "." * 500_000),
        "a path of quotes": call("sealpipe.paths", "parse_path", '"' * 500_000),
        "a path of brackets": call("sealpipe.paths", "parse_path", "a[" * 300_000),
        "a place that is deep": call(
            "sealpipe.documents.edit", "set_value", "a: 1\n", tuple(places.split(".")), 1, file="f"
        ),
    }


# ---- paths of files


def file(make: Callable[[Path], str]) -> Bomb:
    def read() -> object:
        from sealpipe.trees import WorkTree

        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "repo")
            (root / "environments/dev").mkdir(parents=True)
            Path(folder, "outside.yaml").write_text("a: 1\n")
            name = make(root)
            tree = WorkTree(root)
            found = tree.read(name)
            if found is None:
                raise FileNotFoundError(name)
            return found

    return read


def special(kind: str) -> Callable[[Path], str]:
    name = "environments/dev/a.yaml"

    def make(root: Path) -> str:
        target = root / name
        match kind:
            case "link":
                target.symlink_to("../../../outside.yaml")
            case "device":
                target.symlink_to("/dev/zero")
            case "fifo":
                os.mkfifo(target)
            case "folder":
                target.mkdir()
            case "loop":
                target.symlink_to("a.yaml")
            case "parent":
                target.parent.rmdir()
                target.parent.symlink_to("../../")
                return "environments/dev/outside.yaml"
            case "sparse":
                with target.open("wb") as sparse:
                    sparse.truncate(1 << 42)
        return name

    return make


def file_bombs() -> dict[str, Bomb]:
    kinds = ("link", "device", "fifo", "folder", "loop", "parent", "sparse")
    names = {
        "a path that leaves": "../outside.yaml",
        "an absolute path": "/etc/passwd",
        "a path with NUL": "environments/dev/a\0.yaml",
        "a path of a megabyte": "a" * MIB,
        "a path of a million folders": "a/" * 500_000 + "a",
        "a path through here": "environments/./dev/../../../outside.yaml",
        "an empty path": "",
    }
    found = {f"instead of a file: {kind}": file(special(kind)) for kind in kinds}
    return found | {name: file(lambda _, path=path: path) for name, path in names.items()}  # type: ignore[misc]


GROUPS: dict[str, Callable[[], dict[str, Bomb]]] = {
    "yaml": yaml_bombs,
    "schemas": schema_bombs,
    "formats": format_bombs,
    "files": file_bombs,
}


def outcome(bomb: Bomb) -> str:
    from sealpipe.errors import InputError, SealpipeError

    try:
        found = bomb()
    except InputError as error:
        return error.findings[0].word
    except SealpipeError as error:
        return error.word
    except LookupError as error:
        return str(error.args[0])
    except FileNotFoundError:
        return "no-file"
    except (ValueError, NotImplementedError) as error:
        return f"value: {type(error).__name__}"
    except MemoryError:
        return "FAILED: no memory left"
    except BaseException as error:  # noqa: BLE001 - the point of the test
        return f"FAILED: {type(error).__name__}: {str(error)[:200]}"
    return "accepted" if found is not None else "nothing"


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ran_out(_number: int, _frame: object) -> None:
    raise TimeoutError("not done after 20 s")


def main(group: str) -> None:
    import sealpipe.documents.edit
    import sealpipe.editing.values
    import sealpipe.releases.check
    import sealpipe.schemas.lint
    import sealpipe.schemas.telling.explain
    import sealpipe.stages.load
    import sealpipe.trees  # noqa: F401

    bombs = GROUPS[group]()
    outcome(schema({"type": "object"}))  # the engine's own start
    signal.signal(signal.SIGALRM, ran_out)
    for name, bomb in bombs.items():
        child = os.fork()  # the memory of one is not another's
        if child == 0:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MEGABYTES * MIB,) * 2)
            before, started = peak(), time.process_time()
            signal.alarm(20)
            said = outcome(bomb)
            row = [name, said, round(time.process_time() - started, 3), round(peak() - before, 1)]
            print(json.dumps(row), flush=True)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            print(json.dumps([name, f"FAILED: the process ended with {code}", 0, 0]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
