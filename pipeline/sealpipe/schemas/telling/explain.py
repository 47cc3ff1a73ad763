"""What is said of a problem: a word, a sentence, the remedy. Never a value of the document.

Texts are made from the path, the keyword and the schema. The value is looked at for its JSON type, and
for a near miss among allowed words where the schema knows the place to be plain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sealpipe.frozen import NamedTuple
from sealpipe.paths import Concrete, show_path
from sealpipe.schemas.compile import Effective
from sealpipe.schemas.engine import ENGINE_LIMIT, Problem
from sealpipe.schemas.telling.choices import chosen
from sealpipe.schemas.values import at
from sealpipe.schemas.walk import Spot, json_type

SHOWN = 12  # allowed keys or values listed before "and N more"
_COMPARED = 500  # names, and characters of one, that a near miss is looked for in
_NOUNS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a map",
    "array": "a list",
    "null": "nothing",
}
_FORMATS = {
    "email": "an email address",
    "idn-email": "an email address",
    "uri": "a URL with its scheme",
    "uri-reference": "a URL or a path",
    "hostname": "a host name",
    "idn-hostname": "a host name",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "date": "a date such as 2026-05-04",
    "time": "a time such as 22:30:00Z",
    "date-time": "a date and time such as 2026-05-04T22:30:00Z",
    "duration": "an ISO 8601 duration such as PT30S",
    "uuid": "a UUID",
    "regex": "a regular expression",
    "json-pointer": "a JSON Pointer",
}
_BOUNDS = {
    "minimum": ("out-of-range", "must be at least {}"),
    "maximum": ("out-of-range", "must be at most {}"),
    "exclusiveMinimum": ("out-of-range", "must be more than {}"),
    "exclusiveMaximum": ("out-of-range", "must be less than {}"),
    "multipleOf": ("out-of-range", "must be a multiple of {}"),
    "minLength": ("too-short", "must have at least {} characters"),
    "maxLength": ("too-long", "must have at most {} characters"),
    "minItems": ("too-few", "must have at least {} elements"),
    "maxItems": ("too-many", "must have at most {} elements"),
    "minProperties": ("too-few", "must have at least {} keys"),
    "maxProperties": ("too-many", "must have at most {} keys"),
    "minContains": ("too-few", "must have at least {} elements of the kind that the schema asks for"),
    "maxContains": ("too-many", "must have at most {} elements of the kind that the schema limits"),
}
_PLAIN_WORDS = {
    "uniqueItems": ("duplicate-element", "has the same element twice"),
    "contains": ("missing-element", "has no element of the kind that the schema asks for"),
    "not": ("forbidden", "is what the schema's `not` rules out"),
    "oneOf-many": ("ambiguous", "fits more than one of the forms of which the schema wants exactly one"),
    "pattern-cost": ("pattern", "has a pattern in its schema that costs too much to try"),
    "cost": ("bad-schema", "is tried in too many forms: choices that recur have keys in common"),
    "false": ("forbidden", "must not be set: the schema accepts nothing here"),
}

_TELLING = ("additionalProperties", "unevaluatedProperties", "required", "dependentRequired", "propertyNames")


class Explained(NamedTuple):
    """One cause, without its place in a file: `path` is what it is about, and where the finding stands."""

    word: str
    path: Concrete
    what: str
    why: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    on_key: bool = False  # the key is at fault, not the value
    near: str = ""  # the key that was probably meant
    absent: bool = False  # nothing stands at `path`


def explain(problem: Problem, schema: Effective, values: Mapping[str, Any]) -> list[Explained]:
    """The causes behind one problem. A choice is followed into the branch that was clearly meant."""
    if problem.keyword in ("oneOf", "anyOf") and problem.branches:
        return _choice(problem, schema, values)
    if problem.keyword in ("additionalProperties", "unevaluatedProperties") and problem.names:
        return [_unknown_key(problem, name, schema) for name in problem.names[:ENGINE_LIMIT]]
    if problem.keyword in ("required", "dependentRequired"):
        return [_missing(problem, schema, name) for name in problem.names]
    if problem.keyword == "propertyNames":
        return [_bad_key(problem.path, name, problem) for name in problem.names]
    if problem.keyword == "type":
        return [_wrong_type(problem, values)]
    allowed = problem.keyword in ("enum", "const")
    return [_not_allowed(problem.path, problem.limit, schema, values) if allowed else _simple(problem)]


def explain_opened(problem: Problem) -> tuple[str, str]:
    """Word and sentence for an opened secret that does not fit: what the schema says, and no more."""
    inside = bool(problem.path) or bool(problem.branches) or problem.keyword in _TELLING
    if inside:
        return "not-valid", "does not fit its schema (what is wrong inside is not shown)"
    if problem.keyword == "type":
        wanted = " or ".join(_NOUNS.get(name, name) for name in problem.names)
        return "wrong-type", f"must be {wanted}"
    if problem.keyword in ("enum", "const"):
        return "not-allowed", "is not one of the allowed values"
    found = _simple(problem)
    return found.word, found.what


def _unknown_key(problem: Problem, name: str, schema: Effective) -> Explained:
    allowed = problem.limit or schema.walk.at(problem.path).names()
    cutoff = 0.6 if len(name) < 5 else 0.7
    near: list[str] = []
    elsewhere: list[tuple[str, ...]] = []
    if len(allowed) <= _COMPARED:
        import difflib

        near = difflib.get_close_matches(name[:_COMPARED], allowed, n=1, cutoff=cutoff) or _begun(
            name, allowed
        )
        elsewhere = [] if near else [path for path, _ in schema.named() if path[-1] == name]
    advice: tuple[str, ...] = ()
    owner = f"the layer {schema.service}" if schema.service.startswith("_") else schema.service
    if near:
        advice = (f"did you mean `{near[0]}`?",)
    elif elsewhere:
        advice = (f"the schema has `{show_path(elsewhere[0])}`: is it indented as meant?",)
    return Explained(
        "unknown-key",
        (*problem.path, name),
        f"{owner} has no setting `{_short(name)}` here",
        (f"allowed: {_listed(sorted(allowed))}",) if allowed else ("no key is allowed here",),
        advice,
        on_key=True,
        near=near[0] if near else "",
    )


def _bad_key(parent: Concrete, name: str, problem: Problem) -> Explained:
    rule = _simple(problem.branches[0][0]).what
    return Explained("bad-key", (*parent, name), f"the key `{_short(name)}` {rule}", on_key=True)


def _begun(name: str, allowed: Sequence[str]) -> list[str]:
    """The one allowed key that continues `name`, or that `name` continues."""
    found = [key for key in allowed if min(len(key), len(name)) > 2 and key.startswith(name)]
    found += [key for key in allowed if len(key) > 2 and name.startswith(key)]
    return found if len(found) == 1 else []


def _missing(problem: Problem, schema: Effective, name: str) -> Explained:
    why: tuple[str, ...] = ()
    if problem.keyword == "dependentRequired":
        why = ("the schema asks for it because another key beside it is set",)
    options = _words(schema.walk.at((*problem.path, name)))
    if options:
        why = (*why, f"allowed: {_listed(options)}")
    file = schema.origin((*problem.path, name))
    what = f"`{_short(name)}` is missing: {file} requires it"
    return Explained("missing-key", (*problem.path, name), what, why, absent=True)


def _wrong_type(problem: Problem, values: Mapping[str, Any]) -> Explained:
    actual = json_type(at(values, problem.path))
    wanted = [name for name in problem.names if name != "null"] or list(problem.names)
    what = f"must be {' or '.join(_NOUNS.get(name, name) for name in wanted)}; this is {_noun(actual)}"
    advice: tuple[str, ...] = ()
    if actual == "string" and "boolean" in wanted:
        advice = ("write true or false without quotes; yes, no, on and off are text",)
    elif actual == "string" and set(wanted) & {"integer", "number"}:
        advice = ('write a number without quotes (10, not "10", 0x0A or 1_0)',)
    elif actual in ("integer", "number", "boolean") and wanted == ["string"]:
        advice = ("put it in quotes",)
    elif actual == "number" and wanted == ["integer"]:
        advice = ("write it without a fraction",)
    return Explained("wrong-type", problem.path, what, (), advice)


def _noun(name: str) -> str:
    return {"boolean": "a boolean", "integer": "a whole number"}.get(name, _NOUNS.get(name, name))


def _not_allowed(
    path: Concrete, options: Sequence[Any], schema: Effective, values: Mapping[str, Any]
) -> Explained:
    shown = [option for option in options if option is not None] or list(options)
    value = at(values, path)
    spot = schema.walk.at(path)
    near: list[str] = []
    if isinstance(value, str) and spot.known and not spot.holds_secret:
        texts = [option for option in shown[:_COMPARED] if isinstance(option, str)]
        value = value[:_COMPARED]
        import difflib

        near = difflib.get_close_matches(value, texts, n=1) or [
            t for t in texts if t.lower() == value.lower()
        ]
    what = "is not one of the allowed values" if len(shown) > 1 else f"must be {_json(shown[0])}"
    why = (f"allowed: {_listed([_json(option) for option in shown])}",) if len(shown) > 1 else ()
    return Explained("not-allowed", path, what, why, (f"did you mean {_json(near[0])}?",) if near else ())


def _simple(problem: Problem) -> Explained:
    if problem.keyword in _BOUNDS:
        word, text = _BOUNDS[problem.keyword]
        return Explained(word, problem.path, text.format(_json(problem.limit)))
    if problem.keyword in _PLAIN_WORDS:
        word, text = _PLAIN_WORDS[problem.keyword]
        return Explained(word, problem.path, text)
    if problem.keyword == "format":
        name = str(problem.limit)
        return Explained("bad-format", problem.path, f"must be {_FORMATS.get(name, f'of the format {name}')}")
    if problem.keyword == "pattern" and _of_secret(problem):
        types = str(problem.limit).partition("type:(?:")[2].partition(")")[0].replace("|", " or ")
        return Explained("wrong-secret-type", problem.path, f"must be sealed as {types}")
    if problem.keyword == "pattern":
        return Explained("pattern", problem.path, f"must match the pattern {_short(str(problem.limit), 120)}")
    return Explained("not-valid", problem.path, f"breaks the schema's rule `{problem.keyword}`")


def _of_secret(problem: Problem) -> bool:
    return str(problem.limit).startswith("^ENC\\[NACL1,type:(?:")


def _choice(problem: Problem, schema: Effective, values: Mapping[str, Any]) -> list[Explained]:
    choice = chosen(problem)
    if choice.branch is not None:
        inner = [cause for found in choice.branch for cause in explain(found, schema, values)]
        return list(dict.fromkeys(inner))
    if choice.options:
        return [_not_allowed(choice.path, choice.options, schema, values)]
    if choice.types:
        return [_wrong_type(Problem(problem.path, "type", names=choice.types), values)]
    if choice.missing:
        return [_missing(Problem(problem.path, "required"), schema, choice.missing)]
    forms = []
    for index, branch in enumerate(problem.branches, 1):
        causes = [cause for found in branch for cause in explain(found, schema, values)]
        texts = "; ".join(_about(cause, problem.path) for cause in causes[:2])
        forms.append(f"form {index}: {texts}" + (f"; and {len(causes) - 2} more" if len(causes) > 2 else ""))
    what = f"fits none of the {len(problem.branches)} forms that the schema offers here"
    return [Explained("no-form", problem.path, what, tuple(forms[:SHOWN]))]


def _about(cause: Explained, base: Concrete) -> str:
    below = show_path(cause.path[len(base) :])
    if cause.absent:
        return f"`{below}` is missing"
    return cause.what if cause.on_key or not below else f"`{below}` {cause.what}"


def _words(spot: Spot) -> list[str]:
    """The values that the branches of a place allow, where they say so by `const` or `enum`."""
    found = [n["const"] for n in spot.nodes if "const" in n]
    found += [option for n in spot.nodes for option in n.get("enum", ())]
    return list(dict.fromkeys(_json(option) for option in found))


def _listed(items: Sequence[str]) -> str:
    shown = [_short(item) for item in items[:SHOWN]]
    return ", ".join(shown) + (f" and {len(items) - SHOWN} more" if len(items) > SHOWN else "")


def _json(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _short(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
