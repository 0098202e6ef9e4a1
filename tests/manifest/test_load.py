"""What right manifests become, and what is wrong between documents."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import manifest, project, sources
from reconciler.errors import InvalidManifests
from reconciler.model import Address, Late, Lifecycle, OnAirChange, Severity, Timing, Url, Window
from reconciler.render.manifests import rendered
from tests.manifest.world import HEAD, KINDS, lines, load, pump, session

EIGHT = datetime(2026, 12, 1, 8, tzinfo=UTC)


def test_a_manifest_becomes_desired(tmp_path: Path) -> None:
    text = f"""\
{HEAD}kind: Pump
metadata: {{name: one, account: sports, labels: {{team: news}}, dependsOn: [Session/hall], renamedFrom: zero}}
schedule: {{start: "2026-12-01T08:00:00Z", end: 2026-12-01T18:00:00+08:00, horizon: 1d, lead: 60, late: skip}}
lifecycle: {{protect: true, onAirChange: apply, onEnd: restart, deletionPolicy: retain, timeout: 3m}}
spec:
  url: http://pull.example.com/a?k=${{env:KEY}}
  gap: 2m
  key: {{fromEnv: SECRET}}
"""
    loaded = load(tmp_path, text, session("hall"), reconciler="workspace: news\naccounts: {sports: {}}\n").require()
    want = loaded.desired[0]
    assert want.address == Address("Pump", "one")
    assert (want.account, want.workspace, want.labels) == ("sports", "news", {"team": "news"})
    assert want.timing == Timing(Window(EIGHT, EIGHT + timedelta(hours=2)), timedelta(days=1), timedelta(minutes=1), Late.SKIP)
    assert want.lifecycle == Lifecycle(True, OnAirChange.APPLY, True, True, timedelta(minutes=3))
    assert (want.depends_on, want.renamed_from) == ((Address("Session", "hall"),), "zero")
    assert want.values["gap"] == 120
    assert want.values["title"] == "one"
    assert isinstance(want.values["url"], Url)
    assert want.values["url"].reference == "http://pull.example.com/a?k=${env:KEY}"
    assert want.values["key"].reference == "env:SECRET"
    assert str(want.place) == "a.yaml:1:1"
    assert str(want.places["spec.gap"]) == "a.yaml:8:8"
    assert str(want.places["metadata.dependsOn.0"]) == "a.yaml:3:74"
    assert "spec.title" not in want.places
    assert loaded.desired[1].timing is None
    assert (loaded.files, loaded.whole, loaded.diagnostics) == (2, True, ())


def test_places_of_a_file_that_changed_are_its_beginning(tmp_path: Path) -> None:
    want = load(tmp_path, pump()).desired[0]
    (tmp_path / "a.yaml").write_text("# moved\n" + pump())
    assert str(want.places.nearest("spec.url")) == "a.yaml:1:1"
    assert want.places.get("spec.url") is None


def test_variables_are_put_in_once(tmp_path: Path) -> None:
    variables = "variables: {host: pull.example.com, n: 7, on: true, env: prod}\nenvironments: {staging: {variables: {host: staging.example.com}}}\n"
    text = pump("'${var:env}-one'", spec="  title: ${var:n}-${var:on}\n  out: $${var:n} $ {x} ${ }\n").replace(
        "pull.example.com", "${var:host}"
    )
    loaded = load(tmp_path, text, reconciler=variables).require()
    want = loaded.desired[0]
    assert want.address.name == "prod-one"
    assert (want.values["title"], want.values["out"]) == ("7-true", "$7 $ {x} ${ }")
    assert want.values["url"].reveal() == "http://pull.example.com/a"
    staging = project.find(tmp_path, environment="staging")
    (other,) = manifest.load(project.files(staging, tmp_path), project=staging, kinds=KINDS).desired
    assert other.values["url"].reveal() == "http://staging.example.com/a"


def test_what_a_variable_brings_is_checked_and_not_expanded(tmp_path: Path) -> None:
    variables = "variables: {long: abcdefghi, twice: 'a${var:long}', key: '${env:K}'}\n"
    texts = [pump("a", spec="  title: ${var:long}\n"), pump("b", spec="  out: ${var:twice}\n"), pump("c", spec="  out: ${var:key}\n")]
    assert lines(load(tmp_path, *texts, reconciler=variables)) == [
        "a.yaml:7:10 RC014 title has 9 characters, the most is 8",
        "b.yaml:7:8 RC025 the variable twice holds a variable itself",
        "c.yaml:7:8 RC024 out cannot take ${env:NAME}: only the path and query of a URL can",
    ]


def test_an_alias_is_not_substituted_twice(tmp_path: Path) -> None:
    text = pump(spec="  streams: [&s {user: '${var:u}'}, *s]\n")
    loaded = load(tmp_path, text, reconciler="variables: {u: x}\n").require()
    assert [one["user"] for one in loaded.desired[0].values["streams"]] == ["x", "x"]


CROSS = [
    ("one address twice", [pump("a"), pump("a", start="2027-01-01T00:00:00Z")],
     ["b.yaml:3:18 RC040 Pump/a is declared twice -> a.yaml:3:18"]),
    ("one name, two kinds", [pump("a"), session("a")], []),
    ("twice in one file", [session("a", room="x") + "---\n" + session("a", room="y")], ["a.yaml:8:18 RC040 Session/a is declared twice -> a.yaml:3:18"]),
    ("dependency on nothing", [pump("a", meta=", dependsOn: [Pump/c]")], ["a.yaml:3:33 RC042 Pump/c is declared nowhere"]),
    ("dependency on a document with mistakes", [pump("a", meta=", dependsOn: [Pump/b]"), pump("b", spec="  x: 1\n")],
     ["b.yaml:7:3 RC010 'x' is no field of spec"]),
    ("circle", [pump("a", meta=", dependsOn: [Pump/b]"), pump("b", meta=", dependsOn: [Pump/c]"), pump("c", meta=", dependsOn: [Pump/a]")],
     ["a.yaml:3:33 RC043 these depend on each other: Pump/a -> Pump/b -> Pump/c -> Pump/a -> c.yaml:3:33"]),
    ("diamond", [pump("a", meta=", dependsOn: [Pump/b, Pump/c]"), pump("b", meta=", dependsOn: [Pump/d]"),
                 pump("c", meta=", dependsOn: [Pump/d]"), pump("d")], []),
    ("renamed from one that is there", [pump("a", meta=", renamedFrom: b"), pump("b")], ["a.yaml:3:34 RC041 Pump/b is still declared"]),
    ("two heirs", [pump("a", meta=", renamedFrom: c"), pump("b", meta=", renamedFrom: c")],
     ["b.yaml:3:34 RC041 Pump/a was renamed from Pump/c too -> a.yaml:3:34"]),
    ("one title in one window", [pump("a", spec="  title: x\n"), pump("b", spec="  title: x\n")],
     ["b.yaml:5:1 RC045 Pump/b and Pump/a have the same names at the vendor in one window: they could not be told apart -> a.yaml:5:1"]),
    ("one title, windows that differ", [pump("a", spec="  title: x\n"), pump("b", spec="  title: x\n", duration="2h")], []),
    ("one title in two groups", [pump("a", spec="  title: x\n"), pump("b", spec="  title: x\n  group: g\n")], []),
    ("one room without end", [session("a"), session("b")],
     ["b.yaml:4:7 RC045 Session/b and Session/a have the same names at the vendor at one time: they could not be told apart -> a.yaml:4:7"]),
    ("one room, one after the other",
     [session("a", schedule="schedule: {start: 2026-12-01T08:00:00Z, duration: 1h}\n"),
      session("b", schedule="schedule: {start: 2026-12-01T09:00:00Z, duration: 1h}\n")], []),
    ("one room, windows that overlap",
     [session("a", schedule="schedule: {start: 2026-12-01T08:00:00Z, duration: 61m}\n"),
      session("b", schedule="schedule: {start: 2026-12-01T09:00:00Z, duration: 1h}\n")],
     ["b.yaml:5:7 RC045 Session/b and Session/a have the same names at the vendor at one time: they could not be told apart -> a.yaml:5:7"]),
    ("one destination", [pump("a", spec="  out: h/x/y\n"), pump("b", spec="  out: h/x/y\n", start="2026-12-01T08:59:59Z")],
     ["b.yaml:5:1 RC044 Pump/b and Pump/a push to rtmp://h/x/y at the same time -> a.yaml:5:1"]),
    ("one destination, touching", [pump("a", spec="  out: h/x/y\n"), pump("b", spec="  out: h/x/y\n", start="2026-12-01T09:00:00Z")], []),
]  # fmt: skip


@pytest.mark.parametrize(("texts", "expected"), [case[1:] for case in CROSS], ids=[case[0] for case in CROSS])
def test_documents_are_held_against_each_other(tmp_path: Path, texts: list[str], expected: list[str]) -> None:
    loaded = load(tmp_path, *texts)
    told = [
        f"{line}{''.join(f' -> {place}' for place, _ in one.related)}" for line, one in zip(lines(loaded), loaded.diagnostics, strict=True)
    ]
    assert told == expected


def test_a_tight_gap_is_a_warning(tmp_path: Path) -> None:
    loaded = load(tmp_path, pump("a", spec="  out: h/x\n"), pump("b", spec="  out: h/x\n", start="2026-12-01T09:00:03Z"))
    assert [(one.rule, one.severity) for one in loaded.diagnostics] == [("RC044", Severity.WARNING)]
    assert len(loaded.require().desired) == 2


def test_in_a_part_of_a_project_a_dependency_may_be_elsewhere(tmp_path: Path) -> None:
    loaded = load(tmp_path, pump("a", meta=", dependsOn: [Pump/c]"), whole=False)
    assert [(one.rule, one.severity) for one in loaded.diagnostics] == [("RC042", Severity.NOTE)]
    assert loaded.require().whole is False


def test_a_kinds_warning_keeps_the_document(tmp_path: Path) -> None:
    loaded = load(tmp_path, pump(spec="  title: odd\n"))
    assert [(str(one.place), one.address, one.severity) for one in loaded.diagnostics] == [("a.yaml:7:10", "Pump/one", Severity.WARNING)]
    assert len(loaded.require().desired) == 1


def test_a_window_dropped_by_gap_skip_is_wanted_no_more(tmp_path: Path) -> None:
    text = pump().replace("start: 2026-12-01T08:00:00Z", "zone: Europe/London, start: 2026-03-29T01:30, dst: {gap: skip}")
    loaded = load(tmp_path, text)
    assert loaded.desired == []
    assert [(one.rule, one.severity) for one in loaded.diagnostics] == [("RC035", Severity.WARNING)]


def test_a_window_in_the_past_is_no_mistake(tmp_path: Path) -> None:
    assert len(load(tmp_path, pump(start="2001-01-01T00:00:00Z")).require().desired) == 1


def test_a_chain_of_dependencies_may_be_long(tmp_path: Path) -> None:
    texts = [session(f"s{at}", room=f"r{at}").replace("}\n", f", dependsOn: [Session/s{at + 1}]}}\n", 1) for at in range(1500)]
    loaded = load(tmp_path, "---\n".join([*texts, session("s1500", room="end")]))
    assert lines(loaded) == []


def test_require_raises_with_every_mistake(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifests, match="2 mistakes in the manifests") as caught:
        load(tmp_path, "a: [", "- 1").require()
    assert len(caught.value.diagnostics) == 2
    assert caught.value.exit_code == 65


def test_the_order_of_files_does_not_change_what_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    one, two = load(tmp_path / "x", pump("a"), pump("b")), load(tmp_path / "y", pump("b"), pump("a"))
    assert {w.address: w.values for w in one.desired} == {w.address: w.values for w in two.desired}


def test_the_digest_changes_with_content_and_settings(tmp_path: Path) -> None:
    digests = {
        load(tmp_path, pump("a")).digest,
        load(tmp_path, pump("a") + "# comment\n").digest,
        load(tmp_path, pump("a"), reconciler="workspace: other\n").digest,
        load(tmp_path, pump("a"), reconciler="workspace: other\nvariables: {a: b}\n").digest,
    }
    assert len(digests) == 4
    assert load(tmp_path, pump("a")).digest == load(tmp_path, pump("a")).digest


def test_standard_input_is_a_file_of_its_own(tmp_path: Path) -> None:
    found = project.find(tmp_path)
    text = pump(spec="  titel: x\n").encode()
    loaded = manifest.load(project.files(found, "-"), project=found, kinds=KINDS, stdin=text)
    assert lines(loaded) == ["<stdin>:7:3 RC010 'titel' is no field of spec"]
    place = loaded.diagnostics[0].place
    assert place is not None
    assert project.source_line(place, found, stdin=text) == "  titel: x"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  url: rtmp://u:pw@h/a?key=abc&n=${env:N}#f", "  url: rtmp://***@h/a?key=***&n=${env:N}#***"),
        ("  accessKey: AKIA123", "  accessKey: ***"),
        ("  custom: {secretKey: hunter2, bucket: b}", "  custom: {secretKey: ***, bucket: b}"),
        ('  securityToken: "a b"', "  securityToken: ***"),
        ("  accessKey: {fromEnv: NAME}", "  accessKey: {fromEnv: NAME}"),
        ("  title: 早间新闻", "  title: 早间新闻"),
    ],
)
def test_a_line_is_shown_without_its_secrets(tmp_path: Path, line: str, shown: str) -> None:
    (tmp_path / "a.yaml").write_text(f"first\r\n{line}\r\n")
    assert sources.line_of(sources.Place("a.yaml", 2), tmp_path) == shown
    assert sources.line_of(sources.Place("a.yaml", 9), tmp_path) is None
    assert sources.line_of(sources.Place("none.yaml", 1), tmp_path) is None
    assert sources.line_of(sources.Place("../a.yaml", 1), tmp_path / "x") is None


def test_rendered_shows_defaults_and_no_secret(tmp_path: Path) -> None:
    text = pump(spec="  key: {fromFile: secret.txt}\n").replace("com/a", "com/a?k=abc&e=${env:E}")
    (want,) = load(tmp_path, text).require().desired
    assert rendered(want) == {
        "apiVersion": "broadcast.reconciler/v1",
        "kind": "Pump",
        "metadata": {"name": "one", "account": "default"},
        "schedule": {"start": "2026-12-01T08:00:00Z", "end": "2026-12-01T09:00:00Z", "horizon": "14d", "lead": "10m", "late": "join"},
        "lifecycle": {"protect": False, "onAirChange": "defer", "onEnd": "leave", "deletionPolicy": "delete"},
        "spec": {
            "title": "one", "group": "default", "url": "http://pull.example.com/a?k=***&e=${env:E}", "out": "nowhere",
            "key": {"fromFile": "secret.txt"}, "enabled": True,
        },
    }  # fmt: skip


KEYS = [
    "apiVersion", "kind", "metadata", "name", "schedule", "start", "end", "duration", "zone", "dst", "gap", "repeat", "lifecycle", "protect",
    "labels", "dependsOn", "spec", "url", "loop", "layout", "streams", "key", "fromEnv", "x", "user",
]  # fmt: skip
TEXTS = ["a", "", "${var:x}", "${env:X}", "http://h/p", "2026-12-01T08:00:00Z", "1h", "早"]
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-5, 10**13), st.sampled_from(TEXTS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), st.sampled_from(["Pump", "Session", "Cut"]))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_tree_crashes_the_loader(tmp_path: Path, tree: dict[str, object], kind: str) -> None:
    document = {"apiVersion": "broadcast.reconciler/v1", "kind": kind, "metadata": {"name": "a"}, **tree}
    loaded = load(tmp_path, json.dumps(document))
    assert bool(loaded.errors) != bool(loaded.desired) or any(one.rule == "RC035" for one in loaded.diagnostics)
    for one in loaded.diagnostics:
        assert one.place is not None
        assert one.place.file == "a.yaml"
        assert one.message
        assert "\n" not in one.message + one.help


LINES = st.lists(
    st.sampled_from([*pump().splitlines(), "---", "  layout: {mode: x}", "  - a", "    b: &a", "spec: *a", "schedule: ", "  url: ["]),
    max_size=12,
)


@given(LINES.map("\n".join))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_shuffle_of_lines_crashes_the_loader(tmp_path: Path, text: str) -> None:
    for one in load(tmp_path, text).diagnostics:
        assert one.place is not None
        assert sources.line_of(one.place, tmp_path) is not None or one.place.line > len(text.splitlines())
