"""Runs a workflow's jobs here: bash steps with GitHub's files and variables, a bare repository as remote.

Not GitHub: it knows checkout and setup-python, the contexts that our workflows use, and stops with an
error at anything else rather than guessing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass
class Event:
    """What GitHub knows when it starts a run. `contexts` are nested mappings: github, vars, inputs …"""

    remote: Path
    ref: str  # refs/heads/main, refs/pull/1/merge …
    contexts: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by GitHub environment


@dataclass
class Step:
    name: str
    code: int
    output: str
    skipped: bool = False


@dataclass
class Job:
    """What one job did. `annotations` are its ::error and ::warning lines."""

    name: str
    steps: list[Step]
    summary: str
    folder: Path

    @property
    def ok(self) -> bool:
        return all(step.code == 0 for step in self.steps)

    @property
    def output(self) -> str:
        return "".join(step.output for step in self.steps)

    @property
    def annotations(self) -> list[str]:
        return [line for line in self.output.splitlines() if line.startswith(("::error", "::warning"))]

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


def run_workflow(text: str, event: Event, folder: Path) -> list[Job]:
    """Run all jobs in order; legs of a matrix one after the other, none after a failed one."""
    workflow = yaml.safe_load(text)
    jobs: list[Job] = []
    for name, job in workflow["jobs"].items():
        for leg in _legs(job):
            contexts = {**event.contexts, "matrix": leg, "secrets": {}}
            environment = evaluate(job.get("environment", ""), contexts)
            contexts["secrets"] = event.secrets.get(environment, {})
            if "if" in job and not _condition(str(job["if"]), contexts, failed=False):
                continue
            done = _run_job(name, workflow, job, contexts, event, Path(tempfile.mkdtemp(dir=folder)))
            jobs.append(done)
            if not done.ok:
                return jobs
    return jobs


def evaluate(text: Any, contexts: Mapping[str, Any]) -> str:
    """A string with its ${{ }} expressions replaced: dotted names, quoted words, `&&`, `||`, `!=`, `==`."""
    return _EXPRESSION.sub(lambda match: str(_value(match[1], contexts)), str(text))


def _value(expression: str, contexts: Mapping[str, Any]) -> Any:
    for operator in ("!=", "=="):
        if operator in expression:
            left, right = (str(_value(side.strip(), contexts)) for side in expression.split(operator))
            return (left == right) == (operator == "==")
    for choice in expression.split("||"):
        found: Any = True
        for operand in choice.split("&&"):
            found = _operand(operand.strip(), contexts) if found not in ("", None, False) else found
        if found not in ("", None, False):
            return found
    return ""


def _operand(word: str, contexts: Mapping[str, Any]) -> Any:
    if word[0] == word[-1] == "'":
        return word[1:-1]
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.-]*", word):
        raise NotImplementedError(f"expression {word!r}")
    node: Any = contexts
    for part in word.split("."):
        node = node.get(part, "") if isinstance(node, Mapping) else ""
    return node


def _legs(job: Mapping[str, Any]) -> list[dict[str, str]]:
    matrix = job.get("strategy", {}).get("matrix")
    if not matrix:
        return [{}]
    [(name, values)] = matrix.items()
    return [{name: value} for value in values]


def _condition(text: str, contexts: Mapping[str, Any], *, failed: bool) -> bool:
    match = _EXPRESSION.fullmatch(text)
    expression = match[1] if match else text
    if expression in ("!cancelled()", "always()"):
        return True
    if expression == "failure()":
        return failed
    return not failed and bool(_value(expression, contexts))


def _run_job(
    name: str,
    workflow: Mapping[str, Any],
    job: Mapping[str, Any],
    contexts: Mapping[str, Any],
    event: Event,
    folder: Path,
) -> Job:
    checkout = folder / "checkout"
    checkout.mkdir()
    (folder / "temp").mkdir()
    files = {f"GITHUB_{word}": folder / word.lower() for word in ("ENV", "OUTPUT", "PATH", "STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    # A runner has its own home: no key, no pin and no git identity of whoever runs this.
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "RUNNER_TEMP": str(folder / "temp"),
        **{word: str(file) for word, file in files.items()},
        **_environ(workflow, contexts),
        **_environ(job, contexts),
    }
    steps: list[Step] = []
    for step in job["steps"]:
        title = step.get("name") or step.get("uses") or "run"
        failed = any(done.code for done in steps)
        if not _condition(str(step.get("if", "success")), {**contexts, "success": True}, failed=failed):
            steps.append(Step(title, 0, "", skipped=True))
            continue
        if "uses" in step:
            _action(step, event, checkout, environ)
            steps.append(Step(title, 0, ""))
        else:
            steps.append(_bash(title, step, contexts, environ, checkout))
        added = files["GITHUB_PATH"].read_text().split()
        environ["PATH"] = os.pathsep.join([*reversed(added), environ["PATH"]])
        files["GITHUB_PATH"].write_text("")
    summary = files["GITHUB_STEP_SUMMARY"].read_text()
    return Job(evaluate(job.get("name", name), contexts), steps, summary, checkout)


def _environ(part: Mapping[str, Any], contexts: Mapping[str, Any]) -> dict[str, str]:
    return {name: evaluate(value, contexts) for name, value in part.get("env", {}).items()}


def _bash(
    title: str, step: Mapping[str, Any], contexts: Mapping[str, Any], environ: Mapping[str, str], folder: Path
) -> Step:
    assert "${{" not in step["run"], "untrusted text must reach a script through `env` only"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={**environ, **_environ(step, contexts)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Step(title, done.returncode, done.stdout)


def _action(step: Mapping[str, Any], event: Event, folder: Path, environ: dict[str, str]) -> None:
    action = step["uses"].split("@")[0]
    if action == "actions/setup-python":
        environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])
        return
    assert action == "actions/checkout", action
    assert step["with"] == {"fetch-depth": 0, "persist-credentials": False}
    for arguments in (
        ["init", "-q"],
        ["remote", "add", "origin", str(event.remote)],
        ["fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*", f"+{event.ref}:refs/checkout"],
        ["checkout", "-q", "--detach", "refs/checkout"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True, env=environ, capture_output=True)
