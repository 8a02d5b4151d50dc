import gzip
import os
import subprocess
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.files import file_groups
from evergrow.corpus.formats.git import commit_dates, repository_name
from evergrow.corpus.formats.tree import tree_facts
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_files, source_files
from evergrow.errors import InputError

MIT = """MIT License

Copyright (c) 2024 A. Person

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
Git = Callable[..., None]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Runs git in ``tmp_path``/code, whose first commit is of the first of March 2024, noon."""
    (tmp_path / "code").mkdir()

    def run(*words: str, day: str = "2024-03-01") -> None:
        who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a", "GIT_COMMITTER_NAME": "a"}
        who |= {"GIT_COMMITTER_EMAIL": "a", "GIT_CONFIG_GLOBAL": os.devnull}
        who |= {"GIT_COMMITTER_DATE": f"{day}T12:00:00Z", "GIT_AUTHOR_DATE": "1990-01-01T00:00Z"}
        command = ["git", "-c", "init.defaultBranch=main", *words]
        where = tmp_path / "code"
        subprocess.run(command, cwd=where, env=os.environ | who, check=True, capture_output=True)

    run("init", "-q")
    return run


def read(
    base: Path, trees: str = "code", today: date | None = None
) -> tuple[dict[str, Document], Quarantine]:
    config = SourceConfig(trees=[trees])
    quarantine = Quarantine("repos", today=today)
    documents = list(read_files(config, source_files(config, base, "repos").files, quarantine))
    assert len({d.id for d in documents}) == len(documents)
    return {d.path.removeprefix("code/"): d for d in documents}, quarantine


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def test_files_carry_repository_licence_and_the_date_of_their_last_commit(
    tmp_path: Path, git: Git
) -> None:
    files = {"LICENSE": MIT, "a.py": "a\n", "lib/LICENCE.txt": "Ask me.", "lib/b é.py": "b\n"}
    files["own.c"] = "// SPDX-License-Identifier: BSD-2-Clause\n"
    write(tmp_path / "code", files)
    git("add", ".")
    git("commit", "-qm", "one")
    write(tmp_path / "code", {"a.py": "a2\n"})
    git("commit", "-qam", "two", day="2024-04-01")
    git("remote", "add", "origin", "https://me:secret@host.org/owner/name.git")
    documents, quarantine = read(tmp_path)
    told = {n: (d.date, d.license) for n, d in documents.items()}
    assert told == {
        "LICENSE": ("2024-03-01T12:00:00Z", "MIT"),
        "a.py": ("2024-04-01T12:00:00Z", "MIT"),
        "lib/LICENCE.txt": ("2024-03-01T12:00:00Z", "lib/LICENCE.txt"),
        "lib/b é.py": ("2024-03-01T12:00:00Z", "lib/LICENCE.txt"),
        "own.c": ("2024-03-01T12:00:00Z", "BSD-2-Clause"),
    }
    assert {d.repository for d in documents.values()} == {"https://host.org/owner/name.git"}
    assert {d.date_kind for d in documents.values()} == {"commit"}
    assert documents["a.py"].key == "code/a.py"
    assert quarantine.records == []


def test_what_is_no_document_is_skipped_and_counted(tmp_path: Path, git: Git) -> None:
    files = {"a.py": "a", "image": b"P\0", "empty": "", ".gitignore": "*.log\n", "x.log": "x"}
    files |= {".gitattributes": "third/* linguist-vendored\n", "third/v.c": "v", "gone": "g"}
    write(tmp_path / "code", files)
    (tmp_path / "code/link").symlink_to("a.py")
    git("add", ".")
    git("commit", "-qm", "one")
    (tmp_path / "code/gone").unlink()
    write(tmp_path / "code", {"untracked.py": "u"})
    documents, quarantine = read(tmp_path)
    assert sorted(documents) == [".gitattributes", ".gitignore", "a.py"]
    assert quarantine.skipped == {
        "binary files": 1,
        "empty files": 1,
        "vendored files": 1,
        "symbolic links": 1,
        "tracked files that are not there": 1,
    }


@pytest.mark.parametrize("tracked", [True, False])
def test_a_link_out_of_the_tree_or_to_itself_is_quarantined(
    tmp_path: Path, git: Git, tracked: bool
) -> None:
    write(tmp_path, {"secret/key.txt": "key", "code/a.py": "a"})
    (tmp_path / "code/file").symlink_to("../secret/key.txt")
    (tmp_path / "code/folder").symlink_to("../secret")
    (tmp_path / "code/self").symlink_to("self")
    if tracked:
        git("add", ".")
        git("commit", "-qm", "one")
    else:
        (tmp_path / "code/.git").rename(tmp_path / "away")
    documents, quarantine = read(tmp_path)
    assert sorted(documents) == ["a.py"]
    assert [(r.path, r.reason) for r in quarantine.records] == [
        ("code/file", "paths that lead out of the source tree"),
        ("code/folder", "paths that lead out of the source tree"),
        ("code/self", "links that lead in circles"),
    ]


def test_nothing_in_a_tree_is_unpacked(tmp_path: Path) -> None:
    packed = {"fix.gz": "a plain text", "real.py.gz": gzip.compress(b"x = 1"), "b.zst": "x"}
    write(tmp_path / "code", {"a.py": "a", **packed})
    documents, quarantine = read(tmp_path)
    assert sorted(documents) == ["a.py"]
    assert (quarantine.skipped, quarantine.records) == ({"binary files": 3}, [])


def test_a_tracked_folder_replaced_by_a_link_leads_nowhere(tmp_path: Path, git: Git) -> None:
    write(tmp_path, {"secret/key.txt": "key", "code/a.py": "a", "code/sub/key.txt": "mine"})
    git("add", ".")
    git("commit", "-qm", "one")
    (tmp_path / "code/sub/key.txt").unlink()
    (tmp_path / "code/sub").rmdir()
    (tmp_path / "code/sub").symlink_to(tmp_path / "secret")
    documents, quarantine = read(tmp_path)
    assert sorted(documents) == ["a.py"]
    assert [r.reason for r in quarantine.records] == ["paths that lead out of the source tree"]


def test_a_folder_without_git_is_read_without_dates(tmp_path: Path) -> None:
    write(tmp_path / "code", {"LICENSE": MIT, "sub/a.py": "a", ".cache/x": "x"})
    documents, _ = read(tmp_path)
    assert {n: (d.date, d.license, d.repository) for n, d in documents.items()} == {
        "LICENSE": (None, "MIT", "code"),
        "sub/a.py": (None, "MIT", "code"),
    }


def test_a_repository_without_commits_has_no_dates(tmp_path: Path, git: Git) -> None:
    write(tmp_path / "code", {"a.py": "a"})
    git("add", ".")
    documents, _ = read(tmp_path)
    assert documents["a.py"].date is None


def test_the_facts_of_a_tree_are_those_that_its_bytes_do_not_tell(tmp_path: Path, git: Git) -> None:
    code = tmp_path / "code"
    write(code, {"a.py": "a"})
    git("add", ".")
    git("commit", "-qm", "one")
    facts = [tree_facts(code)]
    git("commit", "-q", "--allow-empty", "-m", "two")
    facts.append(tree_facts(code))
    git("remote", "add", "origin", "https://host.org/owner/name.git")
    facts.append(tree_facts(code))
    (code / "link").symlink_to("a.py")
    git("add", ".")
    facts.append(tree_facts(code))
    (code / ".git/shallow").write_text(str(facts[0]["history"])[2:42] + "\n")
    facts.append(tree_facts(code))
    assert [f["name"] for f in facts] == ["code"] * 2 + ["https://host.org/owner/name.git"] * 3
    assert all(before != after for before, after in pairwise(facts))
    assert tree_facts(code) == facts[-1]


def test_the_edge_of_a_shallow_clone_dates_nothing(tmp_path: Path, git: Git) -> None:
    write(tmp_path / "code", {"old.py": "a", "new.py": "a"})
    git("add", ".")
    git("commit", "-qm", "one")
    write(tmp_path / "code", {"other.py": "a"})
    git("add", ".")
    git("commit", "-qm", "two", day="2024-04-01")
    write(tmp_path / "code", {"new.py": "b"})
    git("commit", "-qam", "three", day="2024-05-01")
    git("clone", "-q", "--depth=2", f"file://{tmp_path}/code", str(tmp_path / "shallow"))
    names = ["old.py", "other.py", "new.py"]
    assert commit_dates(tmp_path / "shallow", names) == {"new.py": "2024-05-01T12:00:00Z"}
    assert len(commit_dates(tmp_path / "code", names)) == 3


def test_nothing_that_a_repository_names_is_carried_out(
    tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "code", {"a.py": "a", ".gitattributes": "*.py diff=bad filter=bad\n"})
    git("add", ".")
    git("commit", "-qm", "one")
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho $0 $@ >> {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "diff.bad.textconv", "diff.bad.command"):
        git("config", key, str(trap))
    for key in ("gpg.program", "core.pager", "core.sshCommand", "pager.log", "pager.ls-files"):
        git("config", key, str(trap))
    for key in ("filter.bad.clean", "filter.bad.smudge", "filter.bad.process"):
        git("config", key, str(trap))
    git("config", "log.showSignature", "true")
    git("config", "core.hooksPath", str(tmp_path / "hooks"))
    git("config", "alias.log", f"!{trap}")
    git("config", "remote.far.promisor", "true")
    git("config", "remote.far.url", f"ext::{trap}")
    git("config", "protocol.ext.allow", "always")
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        write(tmp_path / "hooks", {hook: trap.read_text()})
        (tmp_path / "hooks" / hook).chmod(0o755)
    (tmp_path / "sprung").unlink(missing_ok=True)  # making the repository may have sprung it
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(trap))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    (tmp_path / "code/a.py").write_text("changed")
    documents, _ = read(tmp_path)
    assert documents["a.py"].date == "2024-03-01T12:00:00Z"
    assert not (tmp_path / "sprung").exists()


def test_a_missing_object_of_a_partial_clone_is_not_fetched(tmp_path: Path, git: Git) -> None:
    write(tmp_path / "code", {"a/b.py": "a"})
    git("add", ".")
    git("commit", "-qm", "one")
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    git("config", "core.repositoryFormatVersion", "1")
    git("config", "extensions.partialClone", "far")
    git("config", "remote.far.promisor", "true")
    git("config", "remote.far.url", f"ext::{trap}")
    git("config", "protocol.ext.allow", "always")
    tree = subprocess.run(
        ["git", "rev-parse", "HEAD:a"], cwd=tmp_path / "code", capture_output=True, check=True
    ).stdout.decode()
    (tmp_path / "code/.git/objects" / tree[:2] / tree[2:].strip()).unlink()
    with pytest.raises(InputError, match=r"code: git log failed \(.*\); mend the checkout, or"):
        read(tmp_path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ('[remote "origin"]\n\turl = git@host.org:o/n.git\n', "host.org:o/n.git"),
        (
            '[remote "up"]\nurl=ssh://git@h:22/n\n[remote "origin"]\n url = "https://o/n"\n',
            "https://o/n",
        ),
        ('[remote "up"]\nurl=ssh://git@h:22/n\n', "ssh://h:22/n"),
        ('[remote "origin"]\nurl = /home/me/code\n', "code"),
        (
            '[remote "origin"]\nurl = file:///home/me/code\n[branch "b"]\nurl = https://o/n\n',
            "code",
        ),
        ("", "code"),
    ],
)
def test_the_repositorys_name_is_its_public_address(tmp_path: Path, config: str, name: str) -> None:
    write(tmp_path / "code/.git", {"config": config})
    assert repository_name(tmp_path / "code") == name


def test_of_a_worktree_the_settings_are_found(tmp_path: Path, git: Git) -> None:
    write(tmp_path / "code", {"a.py": "a"})
    git("add", ".")
    git("commit", "-qm", "one")
    git("remote", "add", "origin", "https://o/n")
    git("worktree", "add", "-q", str(tmp_path / "second"))
    documents, _ = read(tmp_path, "second")
    (document,) = documents.values()
    assert (document.repository, document.date) == ("https://o/n", "2024-03-01T12:00:00Z")


def test_a_commit_in_the_future_is_flagged(tmp_path: Path, git: Git) -> None:
    write(tmp_path / "code", {"a.py": "a"})
    git("add", ".")
    git("commit", "-qm", "one", day="2035-01-01")
    documents, quarantine = read(tmp_path, today=date(2026, 1, 1))
    assert documents["a.py"].date is documents["a.py"].date_kind is None
    assert quarantine.flags == {"dates in the future": 1}


def test_trees_are_groups_of_their_own(tmp_path: Path) -> None:
    for tree in "ab":
        write(tmp_path / tree, {f"{i}.py": "x" * 100 for i in range(5)})
    files = source_files(SourceConfig(trees=["*"]), tmp_path, "repos").files
    groups = file_groups(files, 250)
    assert sorted("".join(sorted(file.name[0] for file in group)) for group in groups.values()) == [
        "aaaaa",
        "bbbbb",
    ]


def test_trees_that_are_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for pattern, told in (
        ("no*", f"'no*' matches no folder under {tmp_path}; check the path"),
        ("file", f"'file' matches no folder under {tmp_path}; check the path"),
        ("s3://a/b", "'s3://a/b' is an address, but trees lie on this machine; clone it"),
    ):
        with pytest.raises(InputError) as error:
            source_files(SourceConfig(trees=[pattern]), tmp_path, "repos")
        assert str(error.value) == f"sources.repos.trees: {told}"
    with pytest.raises(InputError, match=r"empty holds no file; check the path"):
        source_files(SourceConfig(trees=["empty"]), tmp_path, "repos")


def test_pointers_of_git_lfs_in_a_tree_are_counted(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214\nsize 12345\n"
    write(tmp_path / "code", {"a.py": "a = 1\n", "model.bin": pointer, "data.jsonl": pointer})
    documents, quarantine = read(tmp_path)
    assert list(documents) == ["a.py"]
    assert (quarantine.skipped, quarantine.records) == ({"Git LFS pointers": 2}, [])
