"""The quick reader of plain YAML: what it reads, the parser reads just the same; what it does not understand, it leaves alone."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from reconciler import plainyaml, yamltree

PLAIN = """\
# a comment
---
apiVersion: broadcast.reconciler/v1
kind: RelayTask   # with a comment

metadata:
  name: morning
  labels:
      team: "news: # room"
spec:
  # another
  title: 早间 新闻  now
  callbackUrl: https://ops.example.com/x?y=1&z={1}
  enabled: true
  at: 08:30
  loops: -3
  dependsOn: [RelayTask/a, Clip/b-c]  # two
---
kind: 'b'
"""


def test_what_is_plain_is_read() -> None:
    first, second = plainyaml.documents(PLAIN.encode()) or []
    assert (first.index, first.line, first.column, second.index, second.line) == (0, 3, 1, 1, 19)
    assert first.value == {
        "apiVersion": "broadcast.reconciler/v1",
        "kind": "RelayTask",
        "metadata": {"name": "morning", "labels": {"team": "news: # room"}},
        "spec": {
            "title": "早间 新闻  now", "callbackUrl": "https://ops.example.com/x?y=1&z={1}", "enabled": True, "at": "08:30", "loops": -3,
            "dependsOn": ["RelayTask/a", "Clip/b-c"],
        },
    }  # fmt: skip
    assert second.value == {"kind": "b"}
    assert list(yamltree.documents(PLAIN.encode())) == [first, second]


@pytest.mark.parametrize(
    "text",
    [
        "a: {b: c}\n", "a: [1]\n", "- a\n", "a:\n- b\n", "a: |\n  b\n", "a: >-\n  b\n", "a: &x b\n", "a: *x\n", "a: !!str b\n", "<<: b\n", "? a\n",
        "a:\n", "a: ~\n", "a: null\n", "a:\nb: 1\n", "a: b\n  c\n", "a: b\n  c: d\n", "a: b\na: c\n", "a:\n  b: 1\n c: 2\n", "  a: b\n",
        "a: b: c\n", "a: b:\n", "a: - b\n", "a: -\n", "a: \"b\\n\"\n", "a: 'it''s'\n", "a: \"b\n", "a: 'b' c\n", "a: @b\n", "a: `b`\n", "a: %b\n",
        "a:\tb\n", "a: b\r\n", "%YAML 1.2\n---\na: b\n", "--- a: b\n", "---\n---\na: b\n", "---\n", "a: b\n---\n", "a: b\n...\n", "true: b\n", "1: b\n",
        "a: 1e999\n", f"a: {'9' * 30}\n", "a: b\nc\n", "\"a\": b\n", "a : b\n", "\ufeffa: b\n", "a: b\u0085\n", "a: b\u2028\n",
        "".join(f"{' ' * depth}a:\n" for depth in range(40)) + " " * 40 + "b: 1\n",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_not_plain_is_left_to_the_parser(text: str) -> None:
    assert plainyaml.documents(text.encode()) is None


def test_a_list_belongs_to_its_line_alone() -> None:
    first, second = plainyaml.documents(b"a: [b, c]\n---\na: [b, c]\n") or []
    assert first.value == second.value == {"a": ["b", "c"]}
    assert first.value["a"] is not second.value["a"]


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n"], ids=repr)
def test_no_document_at_all(text: str) -> None:
    assert plainyaml.documents(text.encode()) == list(yamltree.documents(text.encode())) == []


def test_a_block_may_lie_as_deep_as_elsewhere() -> None:
    deep = "".join(f"{' ' * depth}a:\n" for depth in range(yamltree.DEPTH - 1)) + " " * (yamltree.DEPTH - 1) + "b: 1\n"
    deeper = "".join(f"{' ' * depth}a:\n" for depth in range(yamltree.DEPTH)) + " " * yamltree.DEPTH + "b: 1\n"
    assert plainyaml.documents(deep.encode()) == list(yamltree.documents(deep.encode()))
    assert plainyaml.documents(deeper.encode()) is None
    assert next(yamltree.documents(deeper.encode())).problems


@pytest.mark.parametrize("depth", range(25, yamltree.DEPTH + 2))
def test_a_list_lies_one_deeper_than_its_block(depth: int) -> None:
    text = "".join(f"{' ' * level}a:\n" for level in range(depth - 1)) + " " * (depth - 1) + "b: [c]\n"
    expected = list(yamltree.documents(text.encode()))
    assert plainyaml.documents(text.encode()) in ((None, expected) if depth > yamltree.DEPTH - 4 else (expected,))
    assert bool(expected[0].problems) == (depth >= yamltree.DEPTH)


# --- any text at all --------------------------------------------------------------------------------------------------

VALUES = (
    "1", "text", "a b c", "http://x/y", "12:30", "true", "'s t'", '"d: #"', "-5", "1.5", ".5", "${var:a}x", "a:b", "0o7", "0xFF", "é中", "a # c", "no",
    "...x", "/p", "$x", "+1", "-", "--x", "a: b", "a:", "null", "~", "#", "[1]", "{a: 1}", "'it''s'", '"\\n"', "a  b", "1e3", "1_000", "+.inf", ".nan",
    "_", "a,b", "a]b", "a}b", "a&b", "a*b", "a!b", "a|b", 'a"b', "a'b", "a%b", "-a", "-é", "?a", ":a", "::", "a::b", "@a", "`a", "=", "a =b", "''", '""',
    "2026-11-21T08:00:00+08:00", "[a, b-c]", "[ /x/*.yaml,_y,RelayTask/a@b ]", "[true, no]", "[a, ]", "[]", "[a b]", "[a, null]", "[a:b]", "[-a]",
    "[*a]", "[a #b]", "[a,,b]", "[a]b", "[a], b", "[a#b]", "a#b", "1e400", "---", "...", "- a", "|", ">", "&a b", "*a", "!t a", "\u00a0", "a\u00a0b", "y", "08", "1:", "a\\b",
)  # fmt: skip
BITS = (
    "a", "b", "kind", ":", " ", "  ", "\n", "\n  ", "- ", "-", "---", "---\n", "--- ", "...", "#", " #c", '"', "'", "{", "}", "[", "]", ",", "&a", "*a",
    "!t", "|", ">", "%", "@", "null", "a: 1\n", "c:\n  d: 3\n", "\n\n", "?", "? ", "  k: v\n", "k:v", " - ", "::", ": :", "\t", "\r\n", "\u0085", "中",
)  # fmt: skip


def block(draw: random.Random, indent: int, depth: int) -> Iterator[str]:
    usual = VALUES[: draw.choice((15, len(VALUES)))]
    for _ in range(draw.randint(1, 4)):
        key = " " * indent + draw.choice("abcdefgh") + draw.choice(("", "x", "-1", "_z"))
        if depth < 3 and draw.random() < 0.25:
            yield key + ":" + draw.choice(("", "", " ", "  ", " # c"))
            if draw.random() < 0.2:
                yield draw.choice(("", "  ", "# x", "      # y"))
            yield from block(draw, indent + draw.choice((1, 2, 2, 2, 4)), depth + 1)
        else:
            yield key + ":" + draw.choice((" ", " ", "  ")) + draw.choice(usual) + draw.choice(("", "", "", " ", "  ", " # c", "  #"))
        if draw.random() < 0.05:
            yield draw.choice(("", " ", "#x", " # y", "---", "- a"))


def some_text(draw: random.Random) -> str:
    """Something like manifests, often with a few characters too many or too few."""
    lines: list[str] = []
    for _ in range(draw.randint(1, 3)):
        if draw.random() < 0.9:
            lines.append("---" + draw.choice(("", "", "", " ", "  ", " # c")))
        lines += block(draw, 0, 0)
    text = "\n".join(lines) + draw.choice(("", "\n", "\n\n"))
    for _ in range(draw.choice((0, 0, 1, 3))):
        at = draw.randrange(len(text) + 1)
        text = text[:at] + draw.choice(("", draw.choice(BITS))) + text[at + draw.randint(0, 1) :]
    return text


@pytest.mark.parametrize("texts", [4000, pytest.param(400_000, marks=pytest.mark.long)])
def test_what_it_reads_the_parser_reads_too(texts: int) -> None:
    draw = random.Random(f"plain {texts}")
    read = 0
    for _ in range(texts):
        text = some_text(draw)
        found = plainyaml.documents(text.encode())
        if found is not None:
            read += 1
            expected = list(yamltree.documents(text.encode()))
            assert repr(found) == repr(expected), text
    assert read > texts // 10
