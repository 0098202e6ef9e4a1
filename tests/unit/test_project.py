"""reconciler.yaml, environments laid over it, and which files are manifests."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler import project
from reconciler.errors import InvalidManifests, UsageError
from reconciler.project import Account, Guards, Livepeer, Project, Volcengine

FULL = """\
workspace: news-prod
manifests: [manifests/, extra/*.yaml]
state: postgresql://reconciler@db.example.com/state
zone: Asia/Shanghai
accounts:
  default:
    volcengine: {region: cn-north-1, profile: main, liveEndpoint: "https://live.example.com"}
    livepeer: {}
  sports: {livepeer: {endpoint: "http://127.0.0.1:8686/api"}}
guards: {maxDelete: 30%, maxDeleteFloor: 5, minLead: 90s, maxOffAir: 0s}
environments:
  staging: {workspace: news-staging, variables: {pushHost: push-staging.example.com}, accounts: {default: {volcengine: {region: ap-southeast-1}}}}
  dev: {guards: {maxDelete: 3}, zone: UTC}
variables: {pushHost: push.example.com, count: 3, on: true}
secrets: {allowEnv: [PUSH_*]}
"""


def write(root: Path, text: str, *names: str) -> Path:
    (root / project.NAME).write_text(text)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


def test_a_full_file(tmp_path: Path) -> None:
    found = project.find(write(tmp_path, FULL))
    assert found == Project(
        root=tmp_path,
        workspace="news-prod",
        manifests=("manifests/", "extra/*.yaml"),
        state="postgresql://reconciler@db.example.com/state",
        zone="Asia/Shanghai",
        accounts={
            "default": Account(Volcengine("cn-north-1", "main", "https://live.example.com", "")),
            "sports": Account(livepeer=Livepeer("http://127.0.0.1:8686/api")),
        },
        guards=Guards(0.3, 5, timedelta(seconds=90), timedelta(0)),
        variables={"pushHost": "push.example.com", "count": "3", "on": "true"},
        allow_env=("PUSH_*",),
        environments=("staging", "dev"),
        file=True,
    )
    assert found.folder == tmp_path / ".reconciler"


def test_an_environment_is_laid_over_it_key_by_key(tmp_path: Path) -> None:
    write(tmp_path, FULL)
    staging = project.find(tmp_path, environment="staging")
    assert (staging.workspace, staging.environment) == ("news-staging", "staging")
    assert staging.variables == {"pushHost": "push-staging.example.com", "count": "3", "on": "true"}
    assert staging.accounts["default"].volcengine == Volcengine("ap-southeast-1", "main", "https://live.example.com", "")
    assert set(staging.accounts) == {"default", "sports"}
    dev = project.find(tmp_path, environment="dev")
    assert (dev.guards, dev.zone, dev.workspace) == (Guards(3, 5, timedelta(seconds=90), timedelta(0)), "UTC", "news-prod")


def test_an_unknown_environment_has_a_neighbour(tmp_path: Path) -> None:
    write(tmp_path, FULL)
    with pytest.raises(UsageError, match="there is no environment 'stagin'; did you mean staging"):
        project.find(tmp_path, environment="stagin")
    write(tmp_path, "")
    with pytest.raises(UsageError, match=r"reconciler\.yaml has no environments"):
        project.find(tmp_path, environment="staging")


def test_the_root_is_the_nearest_folder_above(tmp_path: Path) -> None:
    write(tmp_path, "workspace: outer\n", "a/b/c.yaml")
    (tmp_path / "a" / project.NAME).write_text("workspace: inner\n")
    assert project.find(tmp_path / "a" / "b" / "c.yaml").workspace == "inner"
    assert project.find(tmp_path / "a" / "b").root == tmp_path / "a"
    assert project.find(tmp_path).workspace == "outer"


def test_without_a_file_the_path_is_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "m.yaml").write_text("")
    assert project.find(tmp_path / "a") == Project(root=tmp_path / "a")
    assert project.find(tmp_path / "a" / "m.yaml").root == tmp_path / "a"
    monkeypatch.chdir(tmp_path / "a")
    assert project.find("-").root == tmp_path / "a"
    with pytest.raises(UsageError, match="does not exist"):
        project.find(tmp_path / "b")
    with pytest.raises(UsageError, match="there is no environment 'x'"):
        project.find(tmp_path / "a", environment="x")


def test_an_empty_file_and_blocks_that_are_commented_out_are_defaults(tmp_path: Path) -> None:
    write(tmp_path, "# nothing yet\nvariables:\n  # a: b\naccounts:\n")
    assert project.find(tmp_path) == Project(root=tmp_path, file=True)


MISTAKES = [
    ("not a block", "- a\n", ["reconciler.yaml:1:1 RC012 reconciler.yaml must be a block of fields, this is a list"]),
    ("unknown key", "workspaces: a\n", ["reconciler.yaml:1:1 RC010 'workspaces' is no field here"]),
    ("unknown key below", "guards: {maxDeletes: 1}\n", ["reconciler.yaml:1:10 RC010 'maxDeletes' is no field of guards"]),
    ("unknown key in an environment", "environments:\n  dev:\n    workspaec: a\n", ["reconciler.yaml:3:5 RC010 'workspaec' is no field of dev"]),
    ("environments in an environment", "environments: {a: {environments: {}}}\n", ["reconciler.yaml:1:20 RC010 'environments' is no field of a"]),
    ("workspace", "workspace: a b\n", ["reconciler.yaml:1:12 RC018 a workspace's name is 1 to 63 letters, digits, '-', '_' and '.'"]),
    ("zone", "zone: Asia/Shangai\n", ["reconciler.yaml:1:7 RC034 'Asia/Shangai' is no time zone of the IANA database"]),
    ("endpoint", "accounts: {default: {livepeer: {endpoint: http://evil.example}}}\n",
     ["reconciler.yaml:1:43 RC051 an endpoint must begin with https://; http:// is for loopback only"]),
    ("endpoint with a user", "accounts: {default: {livepeer: {endpoint: https://u:p@h}}}\n", ["reconciler.yaml:1:43 RC051 an endpoint has no user, query or fragment"]),
    ("share", "guards: {maxDelete: 130%}\n", ["reconciler.yaml:1:21 RC052 maxDelete is a share or a number of objects"]),
    ("floor", "guards: {maxDeleteFloor: -1}\n", ["reconciler.yaml:1:26 RC014 maxDeleteFloor cannot be negative"]),
    ("password", "state: postgresql://u:secret@h/d\n", ["reconciler.yaml:1:8 RC023 state must not hold a password"]),
    ("other store", "state: mysql://h/d\n", ["reconciler.yaml:1:8 RC053 state is the path of a file, or postgresql://user@host/database"]),
    ("outside", "manifests: [../other]\n", ["reconciler.yaml:1:13 RC054 manifests lie below the project's folder"]),
    ("absolute", "manifests: [/etc]\n", ["reconciler.yaml:1:13 RC054 manifests lie below the project's folder"]),
    ("variable's name", "variables: {a b: c}\n", ["reconciler.yaml:1:13 RC025 'a b' is no name for a variable"]),
    ("variable too long", f"variables: {{a: {'x' * 1001}}}\n", ["reconciler.yaml:1:16 RC025 a variable has at most 1000 characters"]),
    ("list as variable", "variables: {a: [b]}\n", ["reconciler.yaml:1:16 RC012 a must be text, a whole number, a number or true or false, this is a list"]),
    ("duplicate", "zone: UTC\nzone: UTC\n", ["reconciler.yaml:2:1 RC004 the key zone is written twice"]),
    ("two documents", "zone: UTC\n---\nzone: UTC\n", ["reconciler.yaml:3:1 RC016 reconciler.yaml holds one document"]),
    ("tag", "zone: !x UTC\n", ["reconciler.yaml:1:7 RC005 the tag !x is not accepted"]),
    ("syntax", "zone: [\n", ["reconciler.yaml:2:1 RC003 this is not YAML: did not find expected node content"]),
    ("all at once", "zone: x\nworkspace: ''\nguards: {minLead: 1}\nstate: 3\n",
     ["reconciler.yaml:2:12 RC018 a workspace's name is 1 to 63 letters, digits, '-', '_' and '.'",
      "reconciler.yaml:4:8 RC053 state is the path of a file, or postgresql://user@host/database",
      "reconciler.yaml:1:7 RC034 'x' is no time zone of the IANA database"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_a_mistake_in_the_file_has_its_place(tmp_path: Path, text: str, expected: list[str]) -> None:
    write(tmp_path, text)
    with pytest.raises(InvalidManifests) as caught:
        project.find(tmp_path)
    assert sorted(f"{one.place} {one.rule} {one.message}" for one in caught.value.diagnostics) == sorted(expected)
    assert "secret" not in repr([one.message for one in caught.value.diagnostics])


# --- files ------------------------------------------------------------------------------------------------------------

TREE = ["b.yaml", "a.yml", "sub/c.yaml", "notes.txt", ".hidden.yaml", ".github/w.yml", ".venv/x.yaml", "node_modules/y.yaml",
        ".reconciler/z.yaml", "manifests/one.yaml", "manifests/deep/two.yml", "inner/reconciler.yaml", "inner/not-ours.yaml"]  # fmt: skip

SELECTIONS = [
    ("everything", "", ".", ["a.yml", "b.yaml", "manifests/deep/two.yml", "manifests/one.yaml", "sub/c.yaml"], True),
    ("a folder of it", "", "sub", ["sub/c.yaml"], False),
    ("one file", "", "b.yaml", ["b.yaml"], False),
    ("the project file", "", "reconciler.yaml", ["a.yml", "b.yaml", "manifests/deep/two.yml", "manifests/one.yaml", "sub/c.yaml"], True),
    ("listed folder", "manifests: [manifests/]\n", ".", ["manifests/deep/two.yml", "manifests/one.yaml"], True),
    ("listed folder by name", "manifests: [manifests]\n", "manifests", ["manifests/deep/two.yml", "manifests/one.yaml"], True),
    ("part of the listed folder", "manifests: [manifests]\n", "manifests/deep", ["manifests/deep/two.yml"], False),
    ("one of two", "manifests: [manifests, sub]\n", "sub", ["sub/c.yaml"], False),
    ("pattern", "manifests: ['*/*.yaml']\n", ".", ["inner/not-ours.yaml", "manifests/one.yaml", "sub/c.yaml"], True),
    ("deep pattern", "manifests: ['manifests/**/*.yml']\n", "manifests", ["manifests/deep/two.yml"], True),
    ("listed file", "manifests: [b.yaml]\n", ".", ["b.yaml"], True),
    ("twice the same", "manifests: [sub, sub/c.yaml, 'sub/*.yaml']\n", ".", ["sub/c.yaml"], True),
    ("a folder that is gone", "manifests: [gone]\n", ".", [], True),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "expected", "whole"), [case[1:] for case in SELECTIONS], ids=[case[0] for case in SELECTIONS])
def test_a_path_selects_files_in_order(tmp_path: Path, text: str, path: str, expected: list[str], whole: bool) -> None:
    write(tmp_path, text, *TREE)
    found = project.find(tmp_path)
    selection = project.files(found, tmp_path / path)
    assert [one.relative_to(tmp_path).as_posix() for one in selection.files] == expected
    assert selection.whole is whole
    assert selection.diagnostics == ()


def test_standard_input_is_a_selection_of_its_own(tmp_path: Path) -> None:
    selection = project.files(Project(root=tmp_path), "-")
    assert (selection.files, selection.stdin, selection.whole) == ((), True, False)


def test_links_that_leave_the_project_and_what_is_no_file_are_refused_aloud(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.yaml").write_text("")
    (tmp_path / "p").mkdir()
    root = write(tmp_path / "p", "", "real.yaml", "d/e.yaml")
    (root / "link.yaml").symlink_to(outside / "x.yaml")
    (root / "folder").symlink_to(outside)
    (root / "same.yaml").symlink_to(root / "real.yaml")
    (root / "again").symlink_to(root / "d")
    (root / "loop").symlink_to(root)
    (root / "dangling.yaml").symlink_to(root / "nothing.yaml")
    os.mkfifo(root / "pipe.yaml")
    selection = project.files(project.find(root), root)
    assert [one.relative_to(root).as_posix() for one in selection.files] == ["again/e.yaml", "real.yaml"]
    assert sorted(one.message for one in selection.diagnostics) == [
        "dangling.yaml cannot be read: No such file or directory",
        "folder is a link that leads out of the project folder",
        "link.yaml is a link that leads out of the project folder",
        "pipe.yaml is no regular file",
    ]


def test_a_project_file_that_is_a_link_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evil.yaml").write_text("workspace: a\n")
    root = tmp_path / "p"
    root.mkdir()
    (root / project.NAME).symlink_to(tmp_path / "evil.yaml")
    with pytest.raises(InvalidManifests) as caught:
        project.find(root)
    assert caught.value.diagnostics[0].rule == "RC001"


@pytest.mark.parametrize(
    ("name", "patterns", "allowed"),
    [("A", None, True), ("A", (), False), ("PUSH_KEY", ("PUSH_*",), True), ("push_key", ("PUSH_*",), False), ("X", ("A", "X"), True)],
)
def test_an_operator_restricts_names(name: str, patterns: tuple[str, ...] | None, allowed: bool) -> None:
    assert project.allowed(name, patterns) is allowed
