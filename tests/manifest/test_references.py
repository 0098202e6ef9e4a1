"""Secrets, URLs and pictures made known: from where, what is refused, and all failures at once."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from reconciler import manifest, project, references
from reconciler.errors import InvalidManifests
from reconciler.model import Desired, Secret
from tests.manifest.world import KINDS, load, pump

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (64).to_bytes(4) * 2 + b"\0" * 100


def resolved(
    root: Path, *texts: str, env: dict[str, str] | None = None, allow: tuple[str, ...] = (), reconciler: str = ""
) -> list[Desired]:
    loaded = load(root, *texts, reconciler=reconciler).require()
    return references.resolve(loaded.desired, project=project.find(root), kinds=KINDS, env=env or {}, allow_env=allow)


def failures(root: Path, *texts: str, env: dict[str, str] | None = None, allow: tuple[str, ...] = (), reconciler: str = "") -> list[str]:
    with pytest.raises(InvalidManifests) as caught:
        resolved(root, *texts, env=env, allow=allow, reconciler=reconciler)
    return [f"{one.place} {one.rule} {one.message}" for one in caught.value.diagnostics]


def test_secrets_and_urls_get_their_texts_and_keep_their_references(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("from the file\n")
    first = pump("a", spec="  key: {fromEnv: KEY}\n").replace("com/a", "com/${env:PATH_PART}?k=${env:KEY}")
    second = pump("b", spec="  key: {fromFile: secret.txt}\n")
    one, two = resolved(tmp_path, first, second, env={"KEY": "hunter2", "PATH_PART": "live"})
    assert one.values["url"].reveal() == "http://pull.example.com/live?k=hunter2"
    assert one.values["url"].shown == "http://pull.example.com/${env:PATH_PART}?k=${env:KEY}"
    assert one.values["key"].reveal() == "hunter2"
    assert two.values["key"].reveal() == "from the file"
    assert "hunter2" not in repr(one) + str(one)


def test_what_refers_to_nothing_is_the_same_object(tmp_path: Path) -> None:
    loaded = load(tmp_path, pump())
    (want,) = references.resolve(loaded.desired, project=project.find(tmp_path), kinds=KINDS, env={})
    assert want is loaded.desired[0]


def test_every_failure_is_told_at_once(tmp_path: Path) -> None:
    first = pump("a", spec="  key: {fromEnv: KEI}\n").replace("com/a", "com/${env:A}${env:B}")
    second = pump("b", spec="  key: {fromFile: none.txt}\n")
    assert failures(tmp_path, first, second, env={"KEY": "x", "B": ""}) == [
        "a.yaml:6:8 RC028 the environment variable A is not set",
        "a.yaml:6:8 RC028 the environment variable B is empty",
        "a.yaml:7:8 RC028 the environment variable KEI is not set",
        "b.yaml:7:8 RC029 the file none.txt cannot be read: No such file or directory",
    ]


BAD_URLS = [
    ("too long", "x" * 100, "RC115 source has 124 characters, the vendor accepts at most 60"),
    ("space", "a b", "RC115 source must not hold spaces or control characters"),
    ("line break", "a\r\nHost: evil", "RC115 source must not hold spaces or control characters"),
    ("Chinese", "早", "RC115 source must be ASCII"),
    ("a reference", "${env:OTHER}", "RC060 the environment variable KEY holds a reference itself"),
]


@pytest.mark.parametrize(("value", "expected"), [case[1:] for case in BAD_URLS], ids=[case[0] for case in BAD_URLS])
def test_a_url_is_checked_again_when_it_is_whole(tmp_path: Path, value: str, expected: str) -> None:
    found = failures(tmp_path, pump().replace("com/a", "com/${env:KEY}"), env={"KEY": value, "OTHER": "x"})
    assert found == [f"a.yaml:6:8 {expected}"]
    assert value not in found[0] or value == "${env:OTHER}"


NAMES = [
    ("nobody restricts", "KEY", None, (), True),
    ("the project allows", "KEY", "K*", (), True),
    ("the project does not", "KEY", "PUSH_*", (), False),
    ("the operator allows", "KEY", None, ("KEY",), True),
    ("the operator does not", "KEY", None, ("PUSH_*",), False),
    ("the project cannot widen what the operator allows", "KEY", "*", ("PUSH_*",), False),
    ("our own credentials", "VOLCENGINE_SECRET_KEY", None, (), False),
    ("our own credentials, listed by the project, which is part of the change", "VOLCENGINE_SECRET_KEY", "VOLC*", (), False),
    ("our own credentials, opened by the operator", "VOLCENGINE_SECRET_KEY", None, ("VOLC*",), True),
    ("the operator cannot widen what the project allows", "KEY", "PUSH_*", ("*",), False),
]


@pytest.mark.parametrize(("name", "listed", "operator", "ok"), [case[1:] for case in NAMES], ids=[case[0] for case in NAMES])
def test_which_variables_a_manifest_may_read(tmp_path: Path, name: str, listed: str | None, operator: tuple[str, ...], ok: bool) -> None:
    settings = f"secrets: {{allowEnv: ['{listed}']}}\n" if listed else ""
    text = pump(spec=f"  key: {{fromEnv: {name}}}\n")
    if ok:
        (want,) = resolved(tmp_path, text, env={name: "x"}, allow=operator, reconciler=settings)
        assert want.values["key"] == Secret("x")
    else:
        found = failures(tmp_path, text, env={name: "x"}, allow=operator, reconciler=settings)
        assert found == [f"a.yaml:7:8 RC027 the environment variable {name} is not open to manifests"]


FILES = [
    ("outside", "../secret.txt", "leads out of the project folder"),
    ("absolute", "/etc/hostname", "is not named relative to the project's folder"),
    ("link outside", "link.txt", "leads out of the project folder"),
    ("folder", "folder", "is no regular file"),
    ("empty", "empty.txt", "holds no secret"),
    ("not UTF-8", "latin.txt", "is not UTF-8"),
    ("too large", "large.txt", "has 1048577 bytes, the limit is 1048576"),
]


@pytest.mark.parametrize(("name", "why"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_which_files_may_hold_a_secret(tmp_path: Path, name: str, why: str) -> None:
    root = tmp_path / "p"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("x")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "empty.txt").write_text("\n")
    (root / "latin.txt").write_bytes(b"caf\xe9")
    (root / "large.txt").write_bytes(b"x" * (1024 * 1024 + 1))
    assert failures(root, pump(spec=f"  key: {{fromFile: {name}}}\n")) == [f"a.yaml:7:8 RC029 the file {name} {why}"]


CLOSED = [
    ("  key: {fromEnv: OTHER}\n", ["a.yaml:7:8 RC027 the environment variable OTHER is not open to manifests"]),
    ("  key: {fromEnv: PUSH_KEY}\n", []),
    ("  key: {fromFile: ../x}\n", ["a.yaml:7:8 RC029 the file ../x lies outside of the project's folder"]),
    ("  key: {fromFile: /etc/passwd}\n", ["a.yaml:7:8 RC029 the file /etc/passwd lies outside of the project's folder"]),
    ("  key: {fromFile: out}\n", ["a.yaml:7:8 RC029 the file out lies outside of the project's folder"]),
    ("  key: {fromFile: not/there/yet}\n", []),
    ("  title: 12\n  key: {fromFile: ../x}\n", ["a.yaml:8:8 RC029 the file ../x lies outside of the project's folder"]),
]


@pytest.mark.parametrize(("spec", "expected"), CLOSED, ids=[case[0].strip() for case in CLOSED])
def test_a_reference_that_nothing_can_mend_is_told_without_an_environment(tmp_path: Path, spec: str, expected: list[str]) -> None:
    root = tmp_path / "p"
    root.mkdir()
    (root / "out").symlink_to(tmp_path / "x")
    loaded = load(root, pump(spec=spec), reconciler="secrets: {allowEnv: [PUSH_*]}\n")
    wrong = references.check_pictures([*loaded.desired, *loaded.sketches], project=project.find(root), kinds=KINDS)
    assert [f"{one.place} {one.rule} {one.message}" for one in wrong] == expected


def test_a_picture_beside_its_manifest_becomes_a_data_url(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "logo.png").write_bytes(PNG)
    (tmp_path / "deep" / "m.yaml").write_text(pump("a", spec="  picture: logo.png\n") + "---\n" + pump("b", spec="  picture: logo.png\n"))
    found = project.find(tmp_path)
    loaded = manifest.load(project.files(found, tmp_path), project=found, kinds=KINDS).require()
    one, two = references.resolve(loaded.desired, project=found, kinds=KINDS, env={})
    assert one.values["picture"] == "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert one.values["picture"] is two.values["picture"]
    assert references.check_pictures(loaded.desired, project=found, kinds=KINDS) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none.png", "cannot be read: No such file or directory"),
        ("../x.png", "leads out of the project folder"),
        ("text.png", "is neither PNG nor JPEG"),
    ],
)
def test_a_picture_that_cannot_be_used_is_told_without_an_environment(tmp_path: Path, name: str, why: str) -> None:
    root = tmp_path / "p"
    root.mkdir()
    (tmp_path / "x.png").write_bytes(PNG)
    (root / "text.png").write_text("hello")
    loaded = load(root, pump(spec=f"  picture: {name}\n  key: {{fromEnv: NOT_ASKED}}\n"))
    (wrong,) = references.check_pictures(loaded.desired, project=project.find(root), kinds=KINDS)
    assert f"{wrong.place} {wrong.rule} {wrong.message}" == f"a.yaml:7:12 RC029 the picture {name} {why}"
