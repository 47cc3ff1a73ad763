"""A repository's files to a Workspace: from a working copy and from a commit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repositories import commit, write
from sealpipe.errors import Finding, InputError, UsageError
from sealpipe.model import DocumentId, Workspace
from sealpipe.released import Unit
from sealpipe.stages.load import load, load_project, read_schema, units
from sealpipe.trees import CommitTree, WorkTree

PROJECT = """\
format: 1
project: 5b0c7a1e9f2d4c6688aa01d3e7f4b912
environments:
  base: {}
  dev: {publish_to: file:store}
  production: {publish_to: file:store}
  production-eu: {publish_to: file:store, extends: production, services: inherit}
services:
  checkout: {layers: [_payments]}
"""
FILES: dict[str, str | bytes] = {
    "sealpipe.yaml": PROJECT,
    "environments/base/_all.yaml": "log: {level: info}\n",
    "environments/base/checkout.yaml": "db: {pool: 5}\n",
    "environments/dev/checkout.yaml": "db: {pool: 1}\n",
    "environments/production/_payments.yaml": "psp: x\n",
    "environments/production/checkout.yaml": "db: {pool: 50}\n",
    "environments/production/search.yaml": "size: 1\n",
    "environments/production-eu/_all.yaml": "region: eu\n",
    "environments/production-eu/mailer.yaml": "from: x\n",
    "schemas/checkout.schema.json": '{"type": "object"}',
    "schemas/_payments.schema.json": '{"type": "object"}',
    "schemas/README.md": "words",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, FILES)
    return tmp_path


def loaded(root: Path) -> Workspace:
    return load(WorkTree(root))


def found(root: Path) -> list[Finding]:
    return [finding for finding in loaded(root).findings if "trust" not in str(finding.where)]


def test_everything_is_a_value(root: Path) -> None:
    workspace = loaded(root)
    assert found(root) == []
    assert workspace.root == str(root.resolve())
    assert len(workspace.documents) == 8
    document = workspace.documents[DocumentId("dev", "checkout")]
    assert document.file == "environments/dev/checkout.yaml"
    assert document.values == {"db": {"pool": 1}}
    assert document.text == "db: {pool: 1}\n"
    assert sorted(workspace.schemas) == ["_payments", "checkout"]
    assert workspace.schemas["checkout"].schema == {"type": "object"}
    assert workspace.commit.commit == ""
    assert workspace.trust is None
    assert dict(workspace.keyrings) == {}


def test_units(root: Path) -> None:
    assert units(loaded(root)) == (
        Unit("dev", "checkout"),
        Unit("production", "checkout"),
        Unit("production", "search"),
        Unit("production-eu", "checkout"),
        Unit("production-eu", "mailer"),
        Unit("production-eu", "search"),
    )


def test_a_broken_file_keeps_its_unit(root: Path) -> None:
    # Otherwise a typo would look like the service having been removed.
    write(root, {"environments/production/search.yaml": "a: 1\na: 2\n"})
    workspace = loaded(root)
    assert Unit("production", "search") in units(workspace)
    assert Unit("production-eu", "search") in units(workspace)
    assert DocumentId("production", "search") not in workspace.documents


def test_a_commit_gives_the_same(root: Path) -> None:
    commit(root)
    before = loaded(root)
    write(root, {"environments/dev/checkout.yaml": "db: {pool: 2}\n"})
    at_commit = load(CommitTree(root, "HEAD"))
    assert at_commit.documents == before.documents
    assert at_commit.schemas == before.schemas
    assert at_commit.project == before.project
    assert at_commit.commit.commit == before.commit.commit
    assert not at_commit.commit.dirty
    assert loaded(root).commit.dirty


@pytest.mark.parametrize(
    "unit", [Unit("production-eu", "checkout"), Unit("dev", "checkout"), Unit("production", "search")]
)
def test_one_unit_has_all_that_it_is_made_of(root: Path, unit: Unit) -> None:
    whole, only = load(WorkTree(root)), load(WorkTree(root), only=unit)
    assert unit in units(only)
    wanted = {at: document for at, document in whole.documents.items() if at.name in NAMES[unit.service]}
    assert only.documents == wanted
    assert set(only.schemas) == set(whole.schemas) & NAMES[unit.service]
    assert (only.trust, only.keyrings, only.project) == (whole.trust, whole.keyrings, whole.project)
    assert only.commit.commit == ""  # git was not asked


NAMES = {"checkout": {"_all", "_payments", "checkout"}, "search": {"_all", "search"}}


@pytest.mark.parametrize(
    "unit", [Unit("nowhere", "checkout"), Unit("base", "checkout"), Unit("dev", "nobody")]
)
def test_a_unit_that_is_not_there_is_not_there(root: Path, unit: Unit) -> None:
    assert unit not in units(load(WorkTree(root), only=unit))


def test_a_broken_file_of_the_one_unit_is_said(root: Path) -> None:
    write(root, {"environments/dev/checkout.yaml": "a: [", "environments/dev/search.yaml": "b: ["})
    found = load(WorkTree(root), only=Unit("dev", "checkout"))
    assert [finding.where.file for finding in found.findings if finding.where] == [
        "environments/dev/checkout.yaml"
    ]


def test_without_a_project_file_there_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(tmp_path)
    assert caught.value.word == "no-repository"


@pytest.mark.parametrize(
    ("text", "word", "place"),
    [
        ("a: [", "yaml-syntax", "sealpipe.yaml:1:5"),
        (PROJECT.replace("dev:", "Dev:"), "bad-name", "sealpipe.yaml:5:3"),
        (PROJECT + "limit: {}\n", "unknown-key", "sealpipe.yaml:10:1"),
        (b"\xff\xfe", "not-utf-8", "sealpipe.yaml:1"),
    ],
)
def test_a_project_file_that_cannot_be_used_ends_it(
    root: Path, text: str | bytes, word: str, place: str
) -> None:
    write(root, {"sealpipe.yaml": text})
    with pytest.raises(InputError) as caught:
        load_project(WorkTree(root))
    assert (caught.value.word, str(caught.value.finding.where)) == (word, place)
    with pytest.raises(InputError):
        loaded(root)


@pytest.mark.parametrize(
    ("file", "content", "word", "place"),
    [
        ("environments/dev/mailer.yaml", "a: 1\na: 2\n", "duplicate-key", "environments/dev/mailer.yaml:2:1"),
        ("environments/dev/mailer.yaml", b"a: \xff\n", "not-utf-8", "environments/dev/mailer.yaml:1"),
        (
            "environments/dev/mailer.yaml",
            b"#" * (1024 * 1024 + 1),
            "too-large",
            "environments/dev/mailer.yaml",
        ),
        ("environments/dev/Mailer.yaml", "a: 1\n", "bad-name", "environments/dev/Mailer.yaml"),
        ("environments/dev/__x.yaml", "a: 1\n", "bad-name", "environments/dev/__x.yaml"),
        ("environments/dev/my service.yaml", "a: 1\n", "bad-name", "environments/dev/my service.yaml"),
        ("environments/dev/mailer.yml", "a: 1\n", "wrong-extension", "environments/dev/mailer.yml"),
        ("environments/dev/mailer.json", "{}", "wrong-extension", "environments/dev/mailer.json"),
        ("environments/dev/eu/mailer.yaml", "a: 1\n", "misplaced-file", "environments/dev/eu"),
        ("environments/mailer.yaml", "a: 1\n", "misplaced-file", "environments/mailer.yaml"),
        ("environments/prod/mailer.yaml", "a: 1\n", "unknown-environment", "environments/prod"),
        ("environments/dev/_unlisted.yaml", "a: 1\n", "unused-layer", "environments/dev/_unlisted.yaml"),
        ("schemas/mailer.schema.json", "{\n  x}", "bad-json", "schemas/mailer.schema.json:2:3"),
        ("schemas/mailer.schema.json", "[]", "bad-json", "schemas/mailer.schema.json"),
        ("schemas/mailer.schema.json", '{"a": 1, "a": 2}', "bad-json", "schemas/mailer.schema.json"),
        ("schemas/mailer.schema.json", '{"a": NaN}', "bad-json", "schemas/mailer.schema.json"),
        ("schemas/mailer.schema.json", "[" * 100_000, "bad-json", "schemas/mailer.schema.json"),
        ("schemas/Mailer.schema.json", "{}", "bad-name", "schemas/Mailer.schema.json"),
        ("trust/trust.yaml", "a: 1\na: 2\n", "duplicate-key", "trust/trust.yaml:2:1"),
        ("trust/dev.keyring.yaml", "a: [", "yaml-syntax", "trust/dev.keyring.yaml:1:5"),
    ],
)
def test_a_bad_file_is_a_finding_and_the_rest_is_read(
    root: Path, file: str, content: str | bytes, word: str, place: str
) -> None:
    write(root, {file: content})
    workspace = loaded(root)
    assert (word, place) in [(finding.word, str(finding.where)) for finding in workspace.findings]
    assert DocumentId("dev", "checkout") in workspace.documents
    assert not any("xff" in str(finding) for finding in workspace.findings)


@pytest.mark.parametrize(
    "file",
    [
        "environments/dev/checkout.local.yaml",
        "environments/dev/.checkout.yaml.swp",
        "environments/dev/README.md",
        "environments/dev/checkout.yaml.orig",
        "environments/.hidden/x.yaml",
        "environments/README.md",
        "schemas/notes.txt",
    ],
)
def test_what_nobody_takes_for_configuration_is_left_alone(root: Path, file: str) -> None:
    write(root, {file: "a: 1\na: 2\n"})
    assert found(root) == []
    assert len(loaded(root).documents) == 8


def test_a_local_file_is_never_loaded(root: Path) -> None:
    write(root, {"environments/dev/checkout.local.yaml": "db: {pool: 999}\n"})
    assert all("local" not in document.file for document in loaded(root).documents.values())


def test_links_are_findings(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    write(outside, {"x.yaml": "a: 1\n"})
    (root / "environments/dev/mailer.yaml").symlink_to(outside / "x.yaml")
    (root / "environments/linked").symlink_to(outside)
    os.mkfifo(root / "environments/dev/pipe.yaml")
    words = {(finding.word, str(finding.where)) for finding in found(root)}
    assert words == {
        ("symlink", "environments/dev/mailer.yaml"),
        ("not-a-file", "environments/dev/pipe.yaml"),
    }


def test_a_linked_folder_is_a_finding(root: Path) -> None:
    (root / "schemas").rename(root / "elsewhere")
    (root / "schemas").symlink_to("elsewhere")
    assert [finding.word for finding in found(root)] == ["symlink"]
    assert dict(loaded(root).schemas) == {}


def test_an_environment_that_is_no_folder_is_not_taken_for_an_empty_one(root: Path) -> None:
    (root / "environments/dev").rename(root / "elsewhere")
    (root / "environments/dev").symlink_to("../elsewhere")
    assert [(f.word, str(f.where)) for f in found(root)] == [("not-a-folder", "environments/dev")]
    commit(root)
    findings = load(CommitTree(root, "HEAD")).findings
    assert [(f.word, str(f.where)) for f in findings] == [("not-a-folder", "environments/dev")]


def test_a_listed_layer_that_is_nowhere_is_a_finding(root: Path) -> None:
    (root / "environments/production/_payments.yaml").unlink()
    [finding] = found(root)
    assert (finding.word, finding.severity) == ("unknown-layer", "error")
    assert "_payments" in finding.what


def test_empty_documents_are_layers_without_values(root: Path) -> None:
    write(root, {"environments/dev/mailer.yaml": "# nothing yet\n"})
    workspace = loaded(root)
    assert workspace.documents[DocumentId("dev", "mailer")].values == {}
    assert Unit("dev", "mailer") in units(workspace)


def test_schemas_show_no_content_when_they_are_broken() -> None:
    with pytest.raises(InputError) as caught:
        read_schema('{"default": hunter2}', file="schemas/x.schema.json")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None
