"""The only file reads: a working copy and a commit, which refuse the same things."""

from __future__ import annotations

import gc
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from repositories import commit, git, write
from sealpipe.errors import InputError, UsageError
from sealpipe.trees import FILE_LIMIT, CommitTree, Tree, WorkTree, find_root, walk

FILES: dict[str, str | bytes] = {
    "sealpipe.yaml": "format: 1\n",
    "environments/dev/checkout.yaml": "a: 1\n",
    "environments/dev/_all.yaml": b"\xff\x00",
    "environments/base/checkout.yaml": "b: 1\n",
    "schemas/checkout.schema.json": "{}",
    "docs/readme.md": "not ours",
}
Make = Callable[[Path], Tree]
BOTH = pytest.mark.parametrize(
    "make", [WorkTree, lambda root: CommitTree(root, "HEAD")], ids=["work", "commit"]
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    commit(folder, FILES)
    return folder


def word_of(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.finding.where is not None
    return caught.value.word


@BOTH
def test_reads_and_lists(root: Path, make: Make) -> None:
    tree = make(root)
    assert tree.read("environments/dev/checkout.yaml") == b"a: 1\n"
    assert tree.read("environments/dev/_all.yaml") == b"\xff\x00"
    assert tree.read("environments/dev/none.yaml") is None
    assert tree.read("environments/none/x.yaml") is None
    assert tree.read("environments/dev/checkout.yaml/x") is None
    assert tree.list("environments") == ["base/", "dev/"]
    assert tree.list("environments/dev") == ["_all.yaml", "checkout.yaml"]
    assert tree.list("none") == []
    assert tree.list("sealpipe.yaml") == []
    assert list(walk(tree, "environments")) == [
        "environments/base/checkout.yaml", "environments/dev/_all.yaml", "environments/dev/checkout.yaml",
    ]  # fmt: skip
    assert tree.root == str(root.resolve())
    assert tree.label


@BOTH
@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "environments/../../x", "a//b", "./a", "a/", "a\\b", "a\nb", "a\x00b", ""]
)
def test_paths_out_of_the_repository_are_refused(root: Path, make: Make, path: str) -> None:
    tree = make(root)
    assert word_of(lambda: tree.read(path)) == "bad-path"
    if path:
        assert word_of(lambda: tree.list(path)) == "bad-path"


@BOTH
def test_symlinks_are_refused(root: Path, tmp_path: Path, make: Make) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.yaml").write_text("secret: of-the-host\n")
    (root / "environments/dev/out.yaml").symlink_to(tmp_path / "outside/x.yaml")
    (root / "environments/dev/in.yaml").symlink_to("checkout.yaml")
    (root / "environments/dev/dangling.yaml").symlink_to("nothing")
    (root / "environments/linked").symlink_to(tmp_path / "outside")
    (root / "schemas/inner").symlink_to("../environments")
    commit(root)
    tree = make(root)
    for path in ("dev/out.yaml", "dev/in.yaml", "dev/dangling.yaml", "linked/x.yaml"):
        assert word_of(lambda path=path: tree.read(f"environments/{path}")) == "symlink"
    assert word_of(lambda: tree.list("environments/linked")) == "symlink"
    assert word_of(lambda: tree.read("schemas/inner/dev/checkout.yaml")) == "symlink"
    # A link to a folder is listed as what it is, not as a folder.
    assert "linked" in tree.list("environments")


@BOTH
def test_a_file_over_the_limit_is_refused(root: Path, make: Make) -> None:
    commit(root, {"schemas/fits.json": b"x" * FILE_LIMIT, "schemas/large.json": b"x" * (FILE_LIMIT + 1)})
    tree = make(root)
    assert len(tree.read("schemas/fits.json") or b"") == FILE_LIMIT
    assert word_of(lambda: tree.read("schemas/large.json")) == "too-large"
    assert tree.read("sealpipe.yaml") == b"format: 1\n"


def test_a_pipe_is_refused_and_does_not_hang(root: Path) -> None:
    os.mkfifo(root / "schemas/pipe.json")
    words: list[str] = []
    thread = threading.Thread(
        target=lambda: words.append(word_of(lambda: WorkTree(root).read("schemas/pipe.json"))), daemon=True
    )
    thread.start()
    thread.join(10)
    assert words == ["not-a-file"]


def test_a_folder_in_the_place_of_a_file_is_refused(root: Path) -> None:
    (root / "schemas/folder.json").mkdir()
    assert word_of(lambda: WorkTree(root).read("schemas/folder.json")) == "not-a-file"


def test_a_file_that_cannot_be_opened_is_refused(root: Path) -> None:
    assert word_of(lambda: WorkTree(root).read(f"schemas/{'x' * 300}")) == "unreadable-file"
    assert word_of(lambda: WorkTree(root).read(f"{'x' * 300}/y")) == "unreadable-file"
    assert word_of(lambda: WorkTree(root).list("x" * 300)) == "unreadable-file"


def test_the_size_that_stat_tells_is_not_believed() -> None:
    # Files of /proc report size 0 and hold more.
    assert WorkTree("/proc").read("version")


def test_a_submodule_is_no_file(root: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    name = commit(inner, {"x": "x"})
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{name},schemas/module")
    git(root, "commit", "-q", "-m", "module")
    assert word_of(lambda: CommitTree(root, "HEAD").read("schemas/module")) == "not-a-file"


def test_a_commit_is_read_as_it_was(root: Path) -> None:
    first = git(root, "rev-parse", "HEAD")
    second = commit(root, {"environments/dev/checkout.yaml": "a: 2\n", "environments/dev/new.yaml": "n: 1\n"})
    old, new = CommitTree(root, first), CommitTree(root, "main")
    write(root, {"environments/dev/checkout.yaml": "a: 3\n"})
    assert old.read("environments/dev/checkout.yaml") == b"a: 1\n"
    assert new.read("environments/dev/checkout.yaml") == b"a: 2\n"
    assert WorkTree(root).read("environments/dev/checkout.yaml") == b"a: 3\n"
    assert old.read("environments/dev/new.yaml") is None
    assert new.commit == (second, git(root, "rev-parse", "main^{tree}"), "", False)
    assert new.label == f"commit {second[:7]}"


def test_a_repository_in_a_folder_of_another(tmp_path: Path) -> None:
    outer = tmp_path / "mono"
    commit(outer, {f"config/{name}": content for name, content in FILES.items()} | {"sealpipe.yaml": "outer"})
    tree = CommitTree(outer / "config", "HEAD")
    assert tree.read("sealpipe.yaml") == b"format: 1\n"
    assert tree.list("environments") == ["base/", "dev/"]


def test_an_unknown_commit_is_a_usage_error(root: Path) -> None:
    with pytest.raises(UsageError) as caught:
        CommitTree(root, "nothere")
    assert caught.value.word == "unknown-commit"
    with pytest.raises(UsageError):
        CommitTree(root, "--help")


def test_one_process_serves_all_reads_and_ends(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(root, {f"environments/dev/s{n}.yaml": f"n: {n}\n" for n in range(50)})
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(args: list[str], **options: object) -> object:
        process = real(args, **options)  # type: ignore[call-overload]
        if "--batch" in args:
            started.append(process)
        return process

    tree = CommitTree(root, "HEAD")
    monkeypatch.setattr(subprocess, "Popen", popen)
    for n in range(50):
        assert tree.read(f"environments/dev/s{n}.yaml") == f"n: {n}\n".encode()
    assert len(started) == 1
    assert started[0].poll() is None
    del tree
    gc.collect()
    assert started[0].poll() is not None


def test_the_working_copy_knows_where_it_is(root: Path) -> None:
    head = git(root, "rev-parse", "HEAD")
    assert WorkTree(root).commit == (head, git(root, "rev-parse", "HEAD^{tree}"), "main", False)
    write(root, {"environments/dev/new.yaml": "x: 1\n"})
    assert WorkTree(root).commit.dirty


def test_configuration_that_git_ignores_makes_it_dirty(root: Path) -> None:
    commit(root, {".gitignore": "environments/dev/ghost.yaml\n*.local.yaml\n.sealpipe/\n"})
    write(root, {"environments/dev/checkout.local.yaml": "mine: 1\n", ".sealpipe/store/x.yaml": "x: 1\n"})
    assert not WorkTree(root).commit.dirty
    write(root, {"environments/dev/ghost.yaml": "x: 1\n"})
    assert WorkTree(root).commit.dirty


def test_outside_git(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    assert WorkTree(tmp_path).commit == ("", "", "", False)


def test_find_root(root: Path, tmp_path: Path) -> None:
    assert find_root(root / "environments/dev") == str(root.resolve())
    assert find_root(root) == str(root.resolve())
    with pytest.raises(UsageError) as caught:
        find_root(tmp_path)
    assert caught.value.word == "no-repository"
    assert caught.value.finding.hint == ("sealpipe init",)


def test_files_of_a_folder_at_once_are_read_as_one_by_one(tmp_path: Path) -> None:
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "a.yaml").write_bytes(b"a: 1\n")
    (folder / "empty.yaml").write_bytes(b"")
    (folder / "below").mkdir()
    (folder / "large.yaml").write_bytes(b"x" * (FILE_LIMIT + 1))
    (folder / "full.yaml").write_bytes(b"x" * FILE_LIMIT)
    (folder / "link.yaml").symlink_to(folder / "a.yaml")
    (tmp_path / "linked").symlink_to(folder)
    os.mkfifo(folder / "pipe.yaml")
    names = [
        *sorted(path.name for path in folder.iterdir()),
        "missing.yaml",
        "..",
        ".",
        "",
        "a\\b",
        "a\nb",
        "../environments/a.yaml",
    ]
    for place in ("environments", "environments/below", "linked", "missing", "environments/a.yaml", "../x"):
        tree = WorkTree(tmp_path)

        def alone(name: str, tree: WorkTree = tree, place: str = place) -> object:
            try:
                return tree.read(f"{place}/{name}")
            except InputError as error:
                return error.findings

        found = list(WorkTree(tmp_path).read_each(place, names))
        assert [f.findings if isinstance(f, InputError) else f for f in found] == [alone(n) for n in names]
    assert list(WorkTree(folder).read_each("", ["a.yaml", "missing"])) == [b"a: 1\n", None]


def test_a_disk_that_gives_a_file_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As some file systems do: less than was asked for is not the end before the size that the file has."""
    (tmp_path / "sealpipe.yaml").write_bytes(b"x" * 1000)
    real = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: real(descriptor, min(size, 7)))
    assert WorkTree(tmp_path).read("sealpipe.yaml") == b"x" * 1000
    assert list(WorkTree(tmp_path).read_each("", ["sealpipe.yaml"])) == [b"x" * 1000]
