"""Values by YAML 1.2's core schema, and everything hostile refused with its place."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import yamltree
from reconciler.yamltree import Mark


def only(text: str | bytes) -> yamltree.Document:
    (document,) = yamltree.documents(text if isinstance(text, bytes) else text.encode())
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("No", "No"), ("on", "on"), ("yes", "yes"), ("y", "y"), ("off", "off"),
        ("true", True), ("True", True), ("TRUE", True), ("tRUE", "tRUE"), ("false", False),
        ("08:30", "08:30"), ("12:30", "12:30"), ("12:30:45", "12:30:45"), ("1_000", "1_000"), ("0b11", "0b11"),
        ("2026-12-01", "2026-12-01"), ("2026-12-01T08:00:00+08:00", "2026-12-01T08:00:00+08:00"), ("2026-12-01 08:00:00", "2026-12-01 08:00:00"),
        ("012", 12), ("0o12", 10), ("0x1F", 31), ("-0x1F", "-0x1F"), ("+5", 5), ("-5", -5), ("00", 0), ("0o9", "0o9"),
        ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("-1.5E-2", -0.015), ("1e", "1e"), ("1.2.3", "1.2.3"), ("+", "+"),
        ("--", "--"), (".", "."), ("...x", "...x"), ("30%", "30%"), ("'12'", "12"), ('"true"', "true"), ("'null'", "null"),
        ("!!str 12", "12"), ("!!int '12'", 12), ("!!float 1", 1), ("! 12", "12"), ("!!bool true", True),
        ("|\n  two\n  lines", "two\nlines\n"), (">\n  two\n  lines", "two lines\n"), ('"a\\tb"', "a\tb"), ('"\\u65e9"', "早"),
        ("{start: 2026-12-01T08:00, until: 10:00}", {"start": "2026-12-01T08:00", "until": "10:00"}),
        ("[a, 1, true, [b]]", ["a", 1, True, ["b"]]), ("{}", {}), ("[]", []), ("http://a/b?c=d#e", "http://a/b?c=d#e"),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_is_what_the_core_schema_says(text: str, value: object) -> None:
    document = only(f"a: {text}\n")
    assert not document.problems
    assert document.value == {"a": value}
    assert type(document.value["a"]) is type(value)


def test_anchors_and_aliases_share_values() -> None:
    document = only("a: &x {b: 1}\nc: *x\nd: [*x, *x]\n")
    assert document.value == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}, {"b": 1}]}


def test_documents_are_counted_and_empty_ones_have_no_value() -> None:
    found = list(yamltree.documents(b"# nothing\n---\na: 1\n---\n---\n# still nothing\n---\nb: 2\n"))
    assert [(one.index, one.value, one.line) for one in found if one.value is not None] == [(0, {"a": 1}, 3), (3, {"b": 2}, 8)]
    assert list(yamltree.documents(b"")) == []
    assert list(yamltree.documents(b"# only a comment\n")) == []


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{c}: &{c} [{','.join(['*' + p] * 10)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)

HOSTILE = [
    ("unknown tag", "a: !ruby/object {b: 1}\n", "1:4 RC005"),
    ("python tag", "a: !!python/object/apply:os.system ['id']\n", "1:4 RC005"),
    ("binary tag", "a: !!binary aGk=\n", "1:4 RC005"),
    ("time stamp tag", "a: !!timestamp 2026-12-01\n", "1:4 RC005"),
    ("set tag", "a: !!set {b: }\n", "1:4 RC005"),
    ("tag that lies", "a: !!int twelve\n", "1:4 RC005"),
    ("tag directive", "%TAG ! tag:evil.example,2026:\n---\na: 1\n", "1:1 RC005"),
    ("yaml 1.1", "%YAML 1.1\n---\na: no\n", "1:1 RC005"),
    ("merge key", "x: &x {a: 1}\nb:\n  <<: *x\n", "3:3 RC005"),
    ("number as key", "12: a\n", "1:1 RC006"),
    ("boolean as key", "true: a\n", "1:1 RC006"),
    ("null as key", "~: a\n", "1:1 RC006"),
    ("empty key", "? \n: a\n", "1:2 RC006"),
    ("list as key", "[a, b]: c\n", "1:1 RC006"),
    ("block as key", "? {a: b}\n: c\n", "1:3 RC006"),
    ("alias as key", "a: &a b\n*a : c\n", "2:1 RC006"),
    ("alias without anchor", "a: *nobody\n", "1:4 RC007"),
    ("alias to another document", "a: &a 1\n---\nb: *a\n", "3:4 RC007"),
    ("node that contains itself", "a: &a [*a]\n", "1:8 RC007"),
    ("aliases that explode", BOMB, "4:29 RC007"),
    ("long text through many aliases", f"a: &a {'x' * 200_000}\nb: [{','.join(['*a'] * 9)}]\n", "2:17 RC007"),
    ("deep lists", "a: " + "[" * 33 + "]" * 33 + "\n", "1:35 RC008"),
    ("deep blocks", "".join("  " * at + "a:\n" for at in range(33)) + "  " * 33 + "b: 1\n", "33:65 RC008"),
    ("deep through an alias", "a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 15 + "*a" + "]" * 15 + "\n", "2:19 RC008"),
    ("a million brackets", "[" * 1_000_000, "1:33 RC008"),
    ("a million braces", "{a: " * 260_000, "1:129 RC008"),
    ("duplicate", "a: 1\nb: 2\na: 3\n", "3:1 RC004"),
    ("duplicate in flow", "a: {b: 1, b: 2}\n", "1:11 RC004"),
    ("duplicate in quotes", "a: 1\n'a': 2\n", "2:1 RC004"),
    ("infinity", "a: .inf\n", "1:4 RC009"),
    ("not a number", "a: .NaN\n", "1:4 RC009"),
    ("overflow", "a: 1e999\n", "1:4 RC009"),
    ("endless digits", f"a: {'9' * 5000}\n", "1:4 RC009"),
    ("no value", "a:\nb: 1\n", "1:1 RC019"),
    ("tilde", "a: ~\n", "1:1 RC019"),
    ("empty item", "a: [b, ~]\n", "1:8 RC019"),
    ("NUL", b"a: 1\nb: \x00\n", "2:4 RC002"),
    ("bell", b"a: \x07\n", "1:4 RC002"),
    ("bell by escape", 'a: "\\a"\n', "1:4 RC002"),
    ("NUL by escape", 'a: "x\\0"\n', "1:4 RC002"),
    ("DEL", b"a: \x7f\n", "1:4 RC002"),
    ("C1 control", "早: \u0090\n", "1:4 RC002"),
    ("line separator", "a: b\u2028c\n", "1:5 RC002"),
    ("byte order mark", b"\xef\xbb\xbfa: 1\n", "1:1 RC002"),
    ("byte order mark inside", "a: b\ufeff\n", "1:5 RC002"),
    ("UTF-16", "a: 1\n".encode("utf-16"), "1:1 RC002"),
    ("latin-1", "a: 1\nb: caf\xe9\n".encode("latin-1"), "2:7 RC002"),
    ("lone surrogate", b"a: \xed\xa0\x80\n", "1:4 RC002"),
    ("too large", b"a: " + b"x" * (1024 * 1024), "1:1 RC002"),
    ("tab as indentation", "a:\n\tb: 1\n", "2:1 RC003"),
    ("colon in a plain value", "a: b: c\n", "1:5 RC003"),
    ("open bracket", "a: [1, 2\n", "2:1 RC003"),
    ("open quote", "a: 'b\n", "2:1 RC003"),
    ("two roots", "a: 1\n- b\n", "2:1 RC003"),
    ("at sign", "a: @b\n", "1:4 RC003"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_what_is_hostile_is_refused_at_its_place(text: str | bytes, place: str) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    began = time.process_time()
    found = [problem for document in yamltree.documents(data) for problem in document.problems]
    assert time.process_time() - began < 5
    assert found, "nothing was refused"
    first = found[0]
    assert f"{first.mark.line}:{first.mark.column} {first.rule}" == place
    assert "\n" not in first.message


def test_all_repeated_keys_are_told_with_both_places() -> None:
    document = only("a: 1\na: 2\nb:\n  c: 1\n  c: 2\n")
    assert document.value == {"a": 1, "b": {"c": 1}}
    assert [(one.mark, one.related) for one in document.problems] == [
        (Mark(2, 1, 1), ((Mark(1, 1, 1), "first written here"),)),
        (Mark(5, 3, 1), ((Mark(4, 3, 1), "first written here"),)),
    ]


def test_a_mistake_does_not_hide_the_next_document() -> None:
    found = list(yamltree.documents(b"a: !x 1\n---\nb: 2\n---\nc: [\n"))
    assert [one.value for one in found[1:]] == [{"b": 2}, None]
    assert [[problem.rule for problem in one.problems] for one in found] == [["RC005"], [], ["RC003"]]


UNPARSED = [
    ("open bracket", "a: [1\n---\nb: 2\n", ["2:1 RC003", "b 3:1"]),
    ("open quote", "a: 'x\n---\nb: 'y\n---\nc: 3\n", ["2:1 RC003", "4:1 RC003", "c 5:1"]),
    ("bad directive", "%BAD x\n---\na: 1\n", ["1:5 RC003", "a 3:1"]),
    ("a root too many", "a: 1\n...\n- b\n: @\n---\nc: 3\n", ["a 1:1", "3:1 RC003", "c 6:1"]),
    ("lines that end in CRLF", "a: @\r\n---\r\nb: 1\r\n", ["1:4 RC003", "b 3:1"]),
    ("a marker inside a text", "a: |\n  ---\nb: @\n---x: 1\n---\nc: 3\n", ["3:4 RC003", "c 6:1"]),
    ("the same line again", "--- [a\n--- [b\n--- {c: 1}\n", ["2:1 RC003", "3:1 RC003", "c 3:6"]),
    ("no further document", "a: @\n", ["1:4 RC003"]),
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in UNPARSED], ids=[case[0] for case in UNPARSED])
def test_after_what_cannot_be_parsed_the_next_document_is_read_and_every_place_is_right(text: str, expected: list[str]) -> None:
    found, places = list(yamltree.documents(text.encode())), yamltree.marks(text.encode())
    told = []
    for one in found:
        told += [f"{problem.mark.line}:{problem.mark.column} {problem.rule}" for problem in one.problems]
        told += [f"{name} {key.line}:{key.column}" for name in one.value or () if (key := places[one.index][name].key)]
    assert told == expected
    assert [one.index for one in found] == list(range(len(found)))


def test_reading_goes_on_only_so_often() -> None:
    assert len(list(yamltree.documents(b"a: @\n---\n" * 1000))) == yamltree.UNPARSED
    began = time.process_time()
    assert len(list(yamltree.documents(b"a: @\n---\n" * 100_000))) == yamltree.UNPARSED
    assert time.process_time() - began < 5


def test_many_documents_with_repeated_keys_take_no_longer_than_their_text() -> None:
    began = time.process_time()
    found = list(yamltree.documents(b"a: 1\na: 2\n---\n" * 20_000))
    assert sum(len(one.problems) for one in found) == 20_000
    assert time.process_time() - began < 10


def test_aliases_within_the_budget_are_read() -> None:
    text = "a: &a [" + ",".join(["x"] * 99) + "]\nb: [" + ",".join(["*a"] * 99) + "]\n"
    document = only(text)
    assert not document.problems
    assert len(document.value["b"]) == 99


def test_a_merge_key_in_quotes_is_an_ordinary_key() -> None:
    assert only("'<<': 1\n").value == {"<<": 1}


MARKED = """\
a: 早间新闻
b:
  - {user: host, n: 1}
  - user: guest
    n: 2
"c d": |
  text
  more
e: "two
  lines"
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("", None, Mark(1, 1, 1)),
        ("a", Mark(1, 1, 1), Mark(1, 4, 4)),
        ("b", Mark(2, 1, 1), Mark(2, 1, 1)),
        ("b.0", None, Mark(3, 5, 18)),
        ("b.0.user", Mark(3, 6, 4), Mark(3, 12, 4)),
        ("b.0.n", Mark(3, 18, 1), Mark(3, 21, 1)),
        ("b.1", None, Mark(4, 5, 4)),
        ("b.1.n", Mark(5, 5, 1), Mark(5, 8, 1)),
        ("c d", Mark(6, 1, 5), Mark(6, 8, 1)),
        ("e", Mark(9, 1, 1), Mark(9, 1, 1)),
    ],
)
def test_every_node_has_a_place_counted_in_characters(path: str, key: Mark | None, value: Mark) -> None:
    assert yamltree.marks(MARKED.encode())[0][path] == (key, value)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    for document in yamltree.documents(data):
        assert document.value is None or document.problems is not None
    yamltree.marks(data)


TOKENS = st.sampled_from(
    ["a", "b: ", ": ", "- ", "[", "]", "{", "}", ",", "\n", "\n  ", "\n    ", "&a ", "*a", "!!str ", "!x ", "|\n  ", ">", "'", '"', "#", "---\n",
     "...\n", "<<: ", "? ", "%YAML 1.2\n", "~", "1", "1e9", "\t", "${var:x}", "早"]
)  # fmt: skip


@given(st.lists(TOKENS, max_size=40).map("".join))
@settings(max_examples=600, deadline=None)
def test_no_sequence_of_tokens_crashes_the_reader(text: str) -> None:
    found = list(yamltree.documents(text.encode()))
    for document in found:
        for problem in document.problems:
            assert problem.mark.line >= 1
            assert problem.mark.column >= 1
            assert problem.rule.startswith("RC0")
    marks = yamltree.marks(text.encode())
    for document in found:
        if document.value is not None and not document.problems:
            for path in _paths(document.value):
                assert path in marks[document.index] or "*" in text  # what an alias brings stands at its anchor


def _paths(value: object, path: str = "") -> list[str]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] + [inner for key, item in pairs for inner in _paths(item, f"{path}.{key}" if path else str(key))]


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text("abc 早:#'\"-0123456789.", max_size=12),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcd", min_size=1, max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(TREES)
@settings(max_examples=300, deadline=None)
def test_json_is_read_as_json(tree: object) -> None:
    document = only(json.dumps({"root": tree}, ensure_ascii=False))
    assert not document.problems
    found = document.value["root"]
    assert found == tree or (isinstance(tree, float) and math.isclose(found, tree))


def test_without_the_c_parser_it_says_so_and_does_not_go_on_slowly() -> None:
    program = "import sys; sys.modules['yaml._yaml'] = None\nfrom reconciler import yamltree; list(yamltree.documents(b'a: [1]'))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert found.returncode != 0
    assert "ReconcilerError: PyYAML's C extension is missing" in found.stderr
