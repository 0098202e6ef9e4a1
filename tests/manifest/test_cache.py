"""The cache of read documents: what it gives back is what was read, and nothing that was tampered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import manifest, project
from reconciler.cache import Cache
from reconciler.manifest import Loaded
from tests.manifest.world import HEAD, KINDS, pump, session

KEY = b"a key outside of the project"
TEXT = f"""\
{pump("one", spec="  key: {fromEnv: K}", meta=", labels: {a: b}, dependsOn: [Session/hall], renamedFrom: zero").replace("com/a", "com/a?k=${env:K}")}
---
{HEAD}kind: Cut
metadata: {{name: two}}
lifecycle: {{protect: true, timeout: 3m, onAirChange: apply}}
spec: {{start: 2026-12-01T08:00:00.123Z}}
---
{session("hall")}
"""


def read(root: Path, cache: Cache | None) -> Loaded:
    found = project.find(root)
    return manifest.load(project.files(found, root), project=found, kinds=KINDS, cache=cache)


def entries(root: Path) -> list[Path]:
    return sorted((root / ".reconciler" / "cache").iterdir())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(TEXT)
    (tmp_path / "b.yaml").write_text(session("other", room="x"))
    return tmp_path


def cache(root: Path, key: bytes = KEY) -> Cache:
    return Cache(root / ".reconciler" / "cache", key)


def test_what_comes_from_the_cache_is_what_was_read(root: Path) -> None:
    plain = read(root, None).require()
    first = read(root, cache(root))
    assert len(entries(root)) == 2
    second = read(root, cache(root))
    assert first == plain
    assert second == plain
    for one, other in zip(plain.desired, second.desired, strict=True):
        assert manifest.rendered(one) == manifest.rendered(other)
        assert dict(one.places) == dict(other.places)
    assert second.desired[0].values["url"].reference == "http://pull.example.com/a?k=${env:K}"
    assert (root / ".reconciler" / "cache").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in entries(root))


def test_a_hit_is_not_parsed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(root, cache(root))
    monkeypatch.setattr(manifest.yamltree, "documents", lambda data: pytest.fail("parsed again"))
    assert len(read(root, cache(root)).require().desired) == 4


def test_an_edited_file_is_read_again_and_the_old_entry_goes(root: Path) -> None:
    read(root, cache(root))
    before = entries(root)
    (root / "b.yaml").write_text(session("other", room="y"))
    assert read(root, cache(root)).require().desired[3].values["room"] == "y"
    assert len(set(before) & set(entries(root))) == 1, "what is no longer used is removed"


def test_what_is_kept_holds_no_variable_and_no_setting(root: Path) -> None:
    (root / "b.yaml").write_text(session("other", room="'${var:room}'"))
    for room in ("x", "y"):
        (root / project.NAME).write_text(f"variables: {{room: {room}}}\n")
        assert read(root, cache(root)).require().desired[3].values["room"] == room
    assert len(entries(root)) == 2


def test_mistakes_are_told_again_at_their_places(root: Path) -> None:
    (root / "b.yaml").write_text(pump("odd"))
    first = read(root, cache(root)).diagnostics
    assert [one.rule for one in first] == ["RC900"]
    assert read(root, cache(root)).diagnostics == first
    assert len(entries(root)) == 2


def test_a_file_that_is_no_sound_yaml_is_not_kept(root: Path) -> None:
    (root / "b.yaml").write_text("a: 1\na: 2\n")
    for _ in range(2):
        assert "RC004" in [one.rule for one in read(root, cache(root)).diagnostics]
    assert len(entries(root)) == 1


@pytest.mark.parametrize("how", ["another key", "cut", "changed", "empty", "swapped"])
def test_what_was_tampered_with_is_read_from_the_manifest(root: Path, how: str) -> None:
    plain = read(root, cache(root))
    one, two = entries(root)
    match how:
        case "another key":
            assert read(root, cache(root, b"other")) == plain
            return
        case "cut":
            one.write_bytes(one.read_bytes()[:-1])
        case "changed":
            for path in (one, two):
                path.write_bytes(path.read_bytes().replace(b"hall", b"evil").replace(b"other", b"OTHER"))
        case "empty":
            one.write_bytes(b"")
        case _:
            first, second = one.read_bytes(), two.read_bytes()
            one.write_bytes(second)
            two.write_bytes(first)
    assert read(root, cache(root)) == plain


def test_two_files_with_one_address_are_told_from_the_cache_too(root: Path) -> None:
    (root / "b.yaml").write_text(session("other", room="x"))
    read(root, cache(root))
    (root / "c.yaml").write_text(session("other", room="z"))
    assert [one.rule for one in read(root, cache(root)).errors] == ["RC040"]


def test_a_folder_that_cannot_be_made_is_no_failure(root: Path) -> None:
    (root / "file").write_text("")
    assert len(read(root, Cache(root / "file" / "cache", KEY)).require().desired) == 4
