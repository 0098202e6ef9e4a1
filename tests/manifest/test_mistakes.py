"""Manifest in, mistakes out: each with its code and the exact line and column of the wrong value, or of its key."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from reconciler.model import Severity
from tests.manifest.world import HEAD, lines, load, pump, session

SCHEDULE = "schedule: {start: 2026-12-01T08:00:00Z, duration: 1h}\n"
SPEC = "spec: {url: http://a/b}\n"


def whole(
    kind: str = "kind: Pump\n", metadata: str = "metadata: {name: one}\n", schedule: str = SCHEDULE, spec: str = SPEC, more: str = ""
) -> str:
    return HEAD + kind + metadata + schedule + spec + more


CASES = [
    # the envelope
    ("not a block", "- a\n", "a.yaml:1:1 RC016 a manifest is a block of fields, this is a list"),
    ("something else", "on: push\njobs: {}\n", "a.yaml:1:1 RC016 this is no manifest: apiVersion and kind are missing"),
    ("another version", "apiVersion: v2\n" + whole()[len(HEAD) :], "a.yaml:1:13 RC016 apiVersion 'v2' is not known"),
    ("no version", whole()[len(HEAD) :], "a.yaml:1:1 RC011 apiVersion is missing"),
    ("no kind", whole(kind=""), "a.yaml:1:1 RC011 kind is missing"),
    ("unknown kind", whole(kind="kind: Pumb\n"), "a.yaml:2:7 RC017 there is no kind 'Pumb'"),
    ("kind is a number", whole(kind="kind: 1\n"), "a.yaml:2:7 RC012 kind must be text, this is a whole number"),
    ("unknown key", whole(more="specs: {}\n"), "a.yaml:6:1 RC010 'specs' is no field here"),
    ("no metadata", whole(metadata=""), "a.yaml:1:1 RC011 metadata is missing"),
    ("metadata is text", whole(metadata="metadata: one\n"), "a.yaml:3:11 RC012 metadata must be a block of fields, this is text"),
    ("no name", whole(metadata="metadata: {labels: {a: b}}\n"), "a.yaml:3:1 RC011 name is missing"),
    ("bad name", whole(metadata="metadata: {name: Morning_News}\n"), "a.yaml:3:18 RC018 'Morning_News' is no name"),
    ("number as name", whole(metadata="metadata: {name: 12}\n"), "a.yaml:3:18 RC012 name must be text, this is a whole number"),
    ("unknown account", whole(metadata="metadata: {name: one, account: sports}\n"), "a.yaml:3:32 RC046 there is no account 'sports'"),
    ("label is a number", whole(metadata="metadata: {name: one, labels: {a: 1}}\n"), "a.yaml:3:35 RC012 a must be text, this is a whole number"),
    ("label's name", whole(metadata="metadata: {name: one, labels: {a b: c}}\n"), "a.yaml:3:32 RC047 'a b' is no name for a label"),
    ("unknown metadata", whole(metadata="metadata: {name: one, label: {}}\n"), "a.yaml:3:23 RC010 'label' is no field of metadata"),
    ("address", whole(metadata="metadata: {name: one, dependsOn: [two]}\n"),
     "a.yaml:3:35 RC042 'two' is not an address; write Kind/name, like RelayTask/morning-news"),
    ("itself", whole(metadata="metadata: {name: one, dependsOn: [Pump/one]}\n"), "a.yaml:3:35 RC043 Pump/one depends on itself"),
    ("renamed from itself", whole(metadata="metadata: {name: one, renamedFrom: one}\n"), "a.yaml:3:36 RC041 renamedFrom is the present name"),
    ("renamed from an address", whole(metadata="metadata: {name: one, renamedFrom: Pump/b}\n"), "a.yaml:3:36 RC041 'Pump/b' is no name"),
    # lifecycle
    ("word", whole(more="lifecycle: {onAirChange: never}\n"), "a.yaml:6:26 RC013 onAirChange cannot be 'never', it is one of defer, apply, refuse"),
    ("yes", whole(more="lifecycle: {protect: yes}\n"), "a.yaml:6:22 RC012 protect must be true or false, this is text"),
    ("timeout", whole(more="lifecycle: {timeout: 5 minutes}\n"),
     "a.yaml:6:22 RC021 '5 minutes' is not a length of time; write 90s, 20m, 2h30m or 1d, units from large to small"),
    ("no timeout at all", whole(more="lifecycle: {timeout: 0m}\n"),
     "a.yaml:6:22 RC021 timeout is 1s at least; to wait for nothing, run apply with --no-wait"),
    ("unknown lifecycle", whole(more="lifecycle: {onair: defer}\n"), "a.yaml:6:13 RC010 'onair' is no field of lifecycle"),
    # schedule
    ("none where one is needed", whole(schedule=""), "a.yaml:1:1 RC030 schedule is missing, a Pump needs one"),
    ("one where none belongs", HEAD + "kind: Cut\nmetadata: {name: c}\n" + SCHEDULE + "spec: {start: 2026-12-01T08:00:00Z}\n",
     "a.yaml:4:1 RC030 a Cut has no schedule"),
    ("schedule is text", whole(schedule="schedule: daily\n"), "a.yaml:4:11 RC012 schedule must be a block of fields, this is text"),
    ("no offset", whole(schedule="schedule: {start: 2026-12-01T08:00, duration: 1h}\n"),
     "a.yaml:4:19 RC031 '2026-12-01T08:00' has no offset; add one, like 2026-12-01T08:00+08:00"),
    ("too long for the kind", whole(schedule="schedule: {start: 2026-12-01T08:00:00Z, duration: 8d}\n"), "a.yaml:4:1 RC901 a pump runs at most 7 days"),
    # spec
    ("no spec", whole(spec=""), "a.yaml:1:1 RC011 spec is missing"),
    ("empty spec", whole(spec="spec:\n"), "a.yaml:5:1 RC019 spec has no value"),
    ("spec is a list", whole(spec="spec: [a]\n"), "a.yaml:5:7 RC012 spec must be a block of fields, this is a list"),
    ("missing", whole(spec="spec: {title: a}\n"), "a.yaml:5:1 RC011 url is missing"),
    ("unknown", pump(spec="  tilte: a\n"), "a.yaml:7:3 RC010 'tilte' is no field of spec"),
    ("unknown below", pump(spec="  layout:\n    mode: custom\n    regoins: []\n"), "a.yaml:9:5 RC010 'regoins' is no field of layout"),
    ("unknown in an item", pump(spec="  streams:\n  - user: a\n    indx: 1\n"), "a.yaml:9:5 RC010 'indx' is no field of streams.0"),
    ("missing in an item", pump(spec="  streams:\n  - index: 1\n"), "a.yaml:8:5 RC011 user is missing"),
    ("text for a number", pump(spec="  streams: [{user: a, index: '1'}]\n"), "a.yaml:7:30 RC012 index must be a whole number, this is text"),
    ("number for text", pump(spec="  title: 12\n"), "a.yaml:7:10 RC012 title must be text, this is a whole number"),
    ("fraction", pump(spec="  streams: [{user: a, index: 1.5}]\n"), "a.yaml:7:30 RC012 index must be a whole number, this is a number"),
    ("no boolean", pump(spec="  enabled: no\n"), "a.yaml:7:12 RC012 enabled must be true or false, this is text"),
    ("too large", pump(spec="  streams: [{user: a, index: 17}]\n"), "a.yaml:7:30 RC014 index is 17, the most is 16"),
    ("not below", pump(spec="  layout: {x: 1.0}\n"), "a.yaml:7:15 RC014 x is 1, it must be below 1"),
    ("too long", pump(spec="  title: 早间新闻早间新闻早\n"), "a.yaml:7:10 RC014 title has 9 characters, the most is 8"),
    ("too many", pump(spec="  streams: [{user: a}, {user: b}, {user: c}]\n"), "a.yaml:7:12 RC014 streams has 3 entries, the most is 2"),
    ("pattern", pump(spec="  group: A1\n"), "a.yaml:7:10 RC015 group has not the form it needs"),
    ("word of a list", pump(spec="  layout: {mode: Custom}\n"), "a.yaml:7:18 RC013 mode cannot be 'Custom', it is one of custom, adaptive, vertical"),
    ("number for a word", pump(spec="  layout: {mode: 3}\n"), "a.yaml:7:18 RC012 mode must be one of custom, adaptive, vertical, this is a whole number"),
    ("either, word", pump(spec="  loop: forevr\n"), "a.yaml:7:9 RC013 loop cannot be 'forevr', it is a whole number or forever"),
    ("either, type", pump(spec="  loop: [1]\n"), "a.yaml:7:9 RC012 loop must be a whole number or forever, this is a list"),
    ("length of time", pump(spec="  gap: 1h1d\n"),
     "a.yaml:7:8 RC021 '1h1d' is not a length of time; write 90s, 20m, 2h30m or 1d, units from large to small"),
    ("url", pump().replace("http://", "ftp://"), "a.yaml:6:8 RC115 source must be a URL that begins with http:// or rtmp://"),
    ("secret as text", pump(spec="  key: hunter2\n"), "a.yaml:7:8 RC023 a secret is written as a reference, never as its text"),
    ("several of one validator", pump(spec="  layout:\n    regions:\n    - user: a\n    - user: host\n"), "a.yaml:10:13 RC902 region 1 is the host"),
    ("Unix seconds", HEAD + "kind: Cut\nmetadata: {name: c}\nspec: {start: 1795219200}\n",
     "a.yaml:4:15 RC022 1795219200 looks like Unix seconds, this field takes Unix milliseconds: write 1795219200000"),
    ("a block on several lines", pump(spec="  title:\n    text: a\n"), "a.yaml:7:3 RC012 title must be text, this is a block of fields"),
    ("empty", pump(spec="  title:\n"), "a.yaml:7:3 RC019 title has no value"),
    # references
    ("variable", pump(spec="  title: ${var:nmae}\n"), "a.yaml:7:10 RC025 there is no variable 'nmae'"),
    ("other source", pump(spec="  title: ${vars:name}\n"), "a.yaml:7:10 RC026 '${vars:name}' refers to nothing"),
    ("not closed", pump(spec="  title: ${var:name\n"), "a.yaml:7:10 RC026 '${var:name' is not closed"),
    ("environment in text", pump(spec="  out: x${env:OUT}\n"), "a.yaml:7:8 RC024 out cannot take ${env:NAME}: only the path and query of a URL can"),
    ("environment in a limited text", pump(spec="  title: ${env:LONG_NAME}\n"),
     "a.yaml:7:10 RC024 title cannot take ${env:NAME}: only the path and query of a URL can"),
    ("environment in metadata", whole(metadata="metadata: {name: one, labels: {a: '${env:A}'}}\n"),
     "a.yaml:3:35 RC024 a cannot take ${env:NAME}: only the path and query of a URL can"),
    ("environment as host", pump().replace("pull.example.com", "${env:HOST}"),
     "a.yaml:6:8 RC024 source may take ${env:NAME} in its path and query only, not in its host"),
    ("environment as secret", pump(spec="  key: ${env:KEY}\n"), "a.yaml:7:8 RC023 a secret is written as a reference, never as its text"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_mistake_has_its_place_and_its_sentence(tmp_path: Path, text: str, expected: str) -> None:
    loaded = load(tmp_path, text)
    assert lines(loaded) == [expected]
    assert loaded.desired == []
    assert all(one.message == one.message.strip() and "\n" not in one.message for one in loaded.diagnostics)


HELPS = [
    ("key", whole(more="specs: {}\n"), "did you mean spec?"),
    ("key without a neighbour", pump(spec="  zzz: 1\n"), "known here: title, group, url, out, loop, gap, key, enabled, layout, streams, picture"),
    ("kind", whole(kind="kind: Pumb\n"), "did you mean Pump?"),
    ("word", pump(spec="  layout: {mode: Custom}\n"), "did you mean custom?"),
    ("boolean", pump(spec="  enabled: off\n"), "in YAML 1.2 off is text: write false"),
    ("quotes", pump(spec="  title: 12\n"), "put it in quotes"),
    ("no quotes", pump(spec="  streams: [{user: a, index: '1'}]\n"), "remove the quotes"),
    ("what is missing", whole(spec="spec: {title: a}\n"), "url is what is pulled"),
    ("name", whole(metadata="metadata: {name: Morning_News}\n"),
     "a name is 1 to 63 of a-z, 0-9 and -, and begins and ends with a letter or digit; write morning-news"),
    ("too large a file", "#" * (1024 * 1024 + 1), "split it into several files"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "help"), [case[1:] for case in HELPS], ids=[case[0] for case in HELPS])
def test_a_mistake_says_what_to_do(tmp_path: Path, text: str, help: str) -> None:
    assert [one.help for one in load(tmp_path, text).diagnostics] == [help]


def test_every_mistake_of_every_file_is_told_at_once_in_order(tmp_path: Path) -> None:
    first = pump(spec="  titel: a\n  group: A\n") + "---\n" + session(room="[a]")
    second = "a: [\n"
    third = pump("three").replace("1h", "0s") + "---\n" + pump("four", spec="  enabled: 1\n")
    assert lines(load(tmp_path, first, second, third)) == [
        "a.yaml:7:3 RC010 'titel' is no field of spec",
        "a.yaml:8:10 RC015 group has not the form it needs",
        "a.yaml:13:14 RC012 room must be text, this is a list",
        "b.yaml:2:1 RC003 this is not YAML: did not find expected node content",
        "c.yaml:4:51 RC033 duration is zero",
        "c.yaml:14:12 RC012 enabled must be true or false, this is a whole number",
    ]


AT_ONCE = [
    ("a rule between fields beside a wrong field", pump(spec="  title: 早间新闻早间新闻早\n  layout:\n    mode: x\n    regions: [{user: host}]\n"),
     ["7:10 RC014", "9:11 RC013", "10:22 RC902"]),
    ("a rule of the window beside a wrong field", pump(duration="8d", spec="  group: A\n"), ["4:1 RC901", "7:10 RC015"]),
    ("a rule that reads the wrong field is silent", pump(spec="  layout: {regions: [{user: 1}]}\n"), ["7:29 RC012"]),
    ("a misspelled needed field is not missing, too", whole(spec="spec: {ulr: http://pull.example.com/a}\n"), ["5:8 RC010"]),
    ("a misspelled kind is not missing, too", whole(kind="kidn: Pump\n"), ["2:1 RC010"]),
    ("a misspelled name is not missing, too", whole(metadata="metadata: {nmae: one}\n"), ["3:12 RC010"]),
    ("an unknown field does not stand for one that is missing", whole(spec="spec: {what: 1}\n"), ["5:1 RC011", "5:8 RC010"]),
    ("a misspelled field of a spec's block is not missing, too", pump(spec="  layout: {regoins: [{user: host}]}\n"), ["7:12 RC010"]),
    ("a refused value is not wrong, too", pump(spec="  title: *no\n  group:\n"), ["7:10 RC007", "8:3 RC019"]),
    ("a refused start is not missing, too", pump(start=""), ["4:12 RC019"]),
    ("a variable of the environment beside a wrong field", pump(spec="  out: x${env:OUT}\n  title: 12\n"), ["7:8 RC024", "8:10 RC012"]),
    ("what depends beside a wrong field", pump(meta=", dependsOn: [Pump/no]", spec="  title: 12\n"), ["3:35 RC042", "7:10 RC012"]),
    ("renamed beside a wrong field", pump() + "---\n" + pump("two", meta=", renamedFrom: one", spec="  title: 12\n"), ["10:36 RC041", "14:10 RC012"]),
    ("a destination beside a wrong field", pump(spec="  out: a\n  title: 12\n") + "---\n" + pump("two", spec="  out: a\n"), ["8:10 RC012", "14:1 RC044"]),
    ("a document behind what cannot be parsed", "a: @\n---\n" + pump(spec="  title: 12\n"), ["1:4 RC003", "9:10 RC012"]),
    ("an address twice is told once", pump() + "---\n" + pump(), ["10:18 RC040"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in AT_ONCE], ids=[case[0] for case in AT_ONCE])
def test_no_mistake_hides_another_and_none_is_told_twice(tmp_path: Path, text: str, expected: list[str]) -> None:
    loaded = load(tmp_path, text)
    assert [f"{one.place.line}:{one.place.column} {one.rule}" for one in loaded.diagnostics if one.place] == expected


def test_what_cannot_be_parsed_may_be_what_others_depend_on(tmp_path: Path) -> None:
    loaded = load(tmp_path, pump(meta=", dependsOn: [Pump/two]"), "a: @\n")
    assert [(one.rule, one.severity) for one in loaded.diagnostics] == [("RC042", Severity.NOTE), ("RC003", Severity.ERROR)]


def test_every_mistake_has_a_help(tmp_path: Path) -> None:
    for text in (case[1] for case in CASES):
        assert all(one.help for one in load(tmp_path, text).diagnostics if not one.rule.startswith("RC9")), text


def test_a_mistake_in_one_document_leaves_the_others(tmp_path: Path) -> None:
    loaded = load(tmp_path, pump("bad", spec="  loop: x\n") + "---\n" + pump("good"))
    assert [str(want.address) for want in loaded.desired] == ["Pump/good"]


def test_no_message_repeats_a_secret(tmp_path: Path) -> None:
    texts = [
        pump(spec="  key: hunter2\n"),
        pump("two").replace("http://pull", "http://u:hunter2 @pull"),
        pump("three", spec="  key: {fromEnv: hunter2!}\n"),
    ]
    loaded = load(tmp_path, *texts)
    assert len(loaded.diagnostics) == 3
    assert "hunter2" not in repr([(one.message, one.help) for one in loaded.diagnostics])


FLOODS = [
    ("unknown keys", pump() + "".join(f"k{at}: 1\n" for at in range(50_000)), 201),
    ("unknown fields", pump(spec="".join(f"  k{at}: 1\n" for at in range(50_000))), 201),
    ("wrong items", pump(spec=f"  layout: {{regions: [{'1, ' * 100_000}]}}\n"), 201),
    ("addresses", pump(meta=f", dependsOn: [{', '.join(f'Pump/n{at}' for at in range(50_000))}]"), 50_000),
]


@pytest.mark.parametrize(("text", "told"), [case[1:] for case in FLOODS], ids=[case[0] for case in FLOODS])
def test_a_flood_of_mistakes_is_told_in_time(tmp_path: Path, text: str, told: int) -> None:
    began = time.process_time()
    loaded = load(tmp_path, text)
    assert time.process_time() - began < 20
    assert len(loaded.errors) == told
    more = [one for one in loaded.errors if one.message == "there are more than 200 mistakes here; the others are not listed"]
    assert len(more) == (told == 201)
