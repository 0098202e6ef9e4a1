"""YAML by libyaml's events: `yamltree` asks here for the values of a text that is more than plain, and for the places of any.

What could surprise or hurt is refused at its event, before anything is built from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from reconciler.errors import ReconcilerError
from reconciler.yamltree import (
    DEPTH,
    EXPANSION,
    NUMBER_START,
    ODD_KEYS,
    UNPARSED,
    WORDS,
    BeyondNumbers,
    Document,
    Mark,
    Marks,
    Problem,
    odd,
    plain,
    short,
)

try:
    # ruamel.yaml.clib carries libyaml 0.1.7, which refuses `{start: 08:00}`; PyYAML's 0.2.5 reads it. Only its parser is used.
    from yaml._yaml import CParser
    from yaml.error import YAMLError
    from yaml.events import (
        AliasEvent,
        DocumentStartEvent,
        MappingEndEvent,
        MappingStartEvent,
        ScalarEvent,
        SequenceEndEvent,
        SequenceStartEvent,
    )
except ImportError as missing:
    # the pure parser is 20 times slower, and reads some texts differently
    raise ReconcilerError(
        "PyYAML's C extension is missing: install a PyYAML that was built with libyaml",
        next_step="python -m pip install --only-binary :all: 'PyYAML>=6.0.1'",
    ) from missing

_CORE = "tag:yaml.org,2002:"
_TAGGED: dict[str, tuple[type, ...]] = {
    "int": (int,), "float": (float, int), "bool": (bool,), "null": (type(None),), "str": (str,), "map": (dict,), "seq": (list,),
}  # fmt: skip


# --- building ---------------------------------------------------------------------------------------------------------


def documents(data: bytes) -> Iterator[Document]:
    """What `yamltree.documents` gives."""
    yield from _Builder(data).documents()


class _Syntax(Exception):
    """The text cannot be read further."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


@dataclass(slots=True)
class _Text:
    """What is parsed in one go. `begun` is the line, counted from 0, in which the present document begins."""

    data: bytes
    begun: int = -1
    left: int = UNPARSED

    def after(self, wrong: Any) -> _Text:
        """The text from the next `---` on, blank lines before it, so that places stay right. `wrong` is why this one ended."""
        spot = getattr(wrong, "problem_mark", None)
        if spot is None or self.left == 1 or self.data.count(b"\r") != self.data.count(b"\r\n"):
            return _NO_MORE
        line = at = 0
        for marker in _MARKER.finditer(self.data):
            line += self.data.count(b"\n", at, marker.start())
            at = marker.start()
            if line >= spot.line and line > self.begun:
                return _Text(b"\n" * line + self.data[at:], line, self.left - 1)
        return _NO_MORE


_NO_MORE = _Text(b"")
_MARKER = re.compile(rb"^---(?=\s|\Z)", re.MULTILINE)


class _Anchor(NamedTuple):
    value: Any
    size: int
    height: int


_OPEN = _Anchor(None, 0, 0)  # an anchor whose node is still being read


class _Builder:
    """Builds the documents of one text. A refused node becomes a problem and the reading goes on, so that one run tells them all."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.next: Callable[[], Any] = CParser(data).get_event
        self.problems: list[Problem] = []
        self.known: dict[str, Any] = {}  # plain scalars, and what they mean
        self.anchors: dict[str, _Anchor] = {}
        self.repeated = False  # some key of this document is written twice
        self.walks: list[_Walk] = []
        self.expansion = 0
        self.index = 0

    def documents(self) -> Iterator[Document]:
        text = _Text(self.data)
        while True:
            try:
                yield from self.parsed(text)
            except YAMLError as wrong:
                problem, text = _syntax(wrong), text.after(wrong)
            except _Syntax as stop:
                problem, text = stop.problem, _NO_MORE
            else:
                return
            yield Document(self.index, None, problem.mark.line, problem.mark.column, [*self.problems, problem])
            if text is _NO_MORE:
                return
            self.next = CParser(text.data).get_event
            self.problems, self.repeated = [], False
            self.anchors.clear()
            self.index += 1

    def parsed(self, text: _Text) -> Iterator[Document]:
        """The documents of `text` up to one that cannot be parsed."""
        while (event := self.next()) is not None:
            if type(event) is not DocumentStartEvent:
                continue
            text.begun = _mark(event).line - 1
            if event.version is not None and tuple(event.version) != (1, 2):
                self.refuse("RC005", "a %YAML directive other than 1.2 is not accepted", event, help="remove the directive")
            if event.tags:
                self.refuse("RC005", "a %TAG directive is not accepted", event, help="remove the directive")
            event = self.next()
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            empty = type(event) is ScalarEvent and event.value == "" and event.implicit[0]
            value = None if empty else self.node(event, 1)
            problems, self.problems = self.problems, []
            if self.repeated:
                problems += self.duplicates()
                self.repeated = False
            self.anchors.clear()
            yield Document(self.index, value, line, column, problems)
            self.index += 1

    def node(self, event: Any, depth: int) -> Any:
        """The value that begins with `event`, at `depth` collections below the document's root."""
        kind = type(event)
        if kind is AliasEvent:
            return self.alias(event, depth)
        anchor = event.anchor
        if anchor is not None:
            self.anchors[anchor] = _OPEN
        if kind is ScalarEvent:
            value = self.scalar(event)
        elif depth > DEPTH:
            raise _Syntax(Problem("RC008", f"this is nested deeper than {DEPTH} levels", _mark(event), help="flatten it"))
        else:
            block = kind is MappingStartEvent
            if event.tag is not None:
                self.check_tag(event, {} if block else [])
            value = self.mapping(depth) if block else self.sequence(depth)
        if anchor is not None:
            size, height = _measure(value)
            self.anchors[anchor] = _Anchor(value, size, height)
        return value

    def mapping(self, depth: int) -> dict[str, Any]:
        following, known = self.next, self.known
        found: dict[str, Any] = {}
        key: str | None
        while type(event := following()) is not MappingEndEvent:
            if type(event) is ScalarEvent and event.tag is None and event.anchor is None:
                key = event.value
                if (key[:1] in NUMBER_START or key in ODD_KEYS) and event.style == "" and not self.plain_key(event):
                    key = None
            else:
                key = self.odd_key(event, depth)
            value_event = following()
            value: Any
            # the commonest value, a plain scalar, handled without a call; what a file says again and again is one object
            if type(value_event) is ScalarEvent and value_event.style == "" and value_event.tag is None and value_event.anchor is None:
                text = value_event.value
                if text[:1] not in NUMBER_START:
                    value = known.setdefault(text, WORDS.get(text, text))
                elif (value := known.get(text)) is None:
                    value = self.scalar(value_event)
                    if not self.problems:
                        known[text] = value
            else:
                value = self.node(value_event, depth + 1)
            if key is None:
                continue
            if value is None and type(value_event) is ScalarEvent:
                self.refuse("RC019", f"{short(key)} has no value", event, help="give it a value, or remove the key")
                continue
            if key in found:
                self.repeated = True
                continue
            found[key] = value
        return found

    def sequence(self, depth: int) -> list[Any]:
        following = self.next
        found: list[Any] = []
        while type(event := following()) is not SequenceEndEvent:
            value = self.node(event, depth + 1)
            if value is None and type(event) is ScalarEvent:
                self.refuse("RC019", "this list item has no value", event, help="give it a value, or remove it")
            found.append(value)
        return found

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        try:
            if event.tag is not None:
                return self.tagged(event, text)
            if event.style == "":
                return plain(text)
        except BeyondNumbers as wrong:
            self.refuse("RC009", str(wrong), event, help="write a finite number, or put the text in quotes")
            return text
        if event.style == '"' and not text.isprintable() and any(odd(c) for c in text):
            self.refuse("RC002", "this text holds a control character", event, help="remove the escape")
        return text

    def tagged(self, event: Any, text: str) -> Any:
        if str(event.tag) in ("!", _CORE + "str"):
            return text
        value = plain(text)
        self.check_tag(event, value)
        return value

    def check_tag(self, event: Any, value: Any) -> None:
        tag = str(event.tag)
        name = tag.removeprefix(_CORE)
        if tag == "!" and not isinstance(value, str):
            return
        if not tag.startswith(_CORE) or name not in _TAGGED:
            shown = f"!!{name}" if tag.startswith(_CORE) else name
            self.refuse("RC005", f"the tag {short(shown)} is not accepted", event, help="write a plain value")
        elif type(value) not in _TAGGED[name]:
            self.refuse("RC005", f"this does not read as !!{name}", event, help="remove the tag")

    def plain_key(self, event: Any) -> bool:
        """Whether a key written without quotes is a text."""
        text = event.value
        if text == "<<":
            self.refuse("RC005", "merge keys (<<) are not accepted", event, help="write the fields out")
            return False
        try:
            value = plain(text)
        except BeyondNumbers:
            value = 0
        if isinstance(value, str):
            return True
        help = f'put it in quotes: "{text}"' if text else "write a key before the colon"
        self.refuse("RC006", f"the key {short(text) or 'here'} is {_noun(value)}, keys are text", event, help=help)
        return False

    def odd_key(self, event: Any, depth: int) -> str | None:
        """A key that is anchored, tagged, an alias or a collection: only anchored or !!str text may be one."""
        if type(event) is ScalarEvent:
            value = self.node(event, depth + 1)
            if isinstance(value, str):
                return value
            if event.style == "" or event.tag is not None:
                self.refuse("RC006", "a key must be text", event, help="put it in quotes")
            return None
        self.refuse("RC006", "a key must be text, written out", event)
        if type(event) is not AliasEvent:
            self.node(event, depth + 1)
        return None

    def alias(self, event: Any, depth: int) -> Any:
        anchor = self.anchors.get(event.anchor)
        if anchor is None:
            self.refuse("RC007", f"*{short(event.anchor)} refers to no anchor above it in this document", event)
            return ""
        if anchor is _OPEN:
            raise _Syntax(Problem("RC007", f"*{short(event.anchor)} contains itself", _mark(event)))
        self.expansion += anchor.size
        if self.expansion > EXPANSION:
            message = f"the aliases of this file expand to more than {EXPANSION} nodes"
            raise _Syntax(Problem("RC007", message, _mark(event), help="write the values out"))
        if depth + anchor.height - 1 > DEPTH:
            raise _Syntax(Problem("RC008", f"this alias nests deeper than {DEPTH} levels", _mark(event), help="flatten it"))
        return anchor.value

    def duplicates(self) -> list[Problem]:
        """The keys written twice in this document. The text is walked once more, for all its documents together."""
        self.walks = self.walks or _walks(self.data)
        return [
            Problem("RC004", f"the key {short(key)} is written twice", second, "keep one of the two", ((first, "first written here"),))
            for key, first, second in self.walks[self.index].twice
        ]

    def refuse(self, rule: str, message: str, event: Any, *, help: str = "") -> None:
        self.problems.append(Problem(rule, message, _mark(event), help))


def _measure(value: Any) -> tuple[int, int]:
    """Nodes in a value (long text counts more) and the number of collections one inside another."""
    if isinstance(value, dict):
        parts = [_measure(item) for item in value.values()]
    elif isinstance(value, list):
        parts = [_measure(item) for item in value]
    else:
        return 1 + (len(value) // 100 if isinstance(value, str) else 0), 0
    return 1 + sum(size for size, _ in parts), 1 + max((height for _, height in parts), default=0)


def _noun(value: Any) -> str:
    if value is None:
        return "empty"
    return "a boolean" if isinstance(value, bool) else "a number"


# --- positions --------------------------------------------------------------------------------------------------------


def marks(data: bytes) -> list[dict[str, Marks]]:
    """What `yamltree.marks` tells."""
    return [found.at for found in _walks(data)]


class _Walk:
    """Where everything of one document stands; of a key written twice, the first."""

    def __init__(self, following: Callable[[], Any]) -> None:
        self.next = following
        self.at: dict[str, Marks] = {}
        self.twice: list[tuple[str, Mark, Mark]] = []

    def node(self, event: Any, path: str, key: Mark | None, depth: int) -> None:
        if depth > 2 * DEPTH:
            raise _Syntax(Problem("RC008", "too deep", _mark(event)))
        here = _mark(event)
        if type(event) in (AliasEvent, ScalarEvent):
            one_line = event.start_mark.line == event.end_mark.line or event.style in ("|", ">")
            self.at.setdefault(path, Marks(key, here if one_line or key is None else key))
            return
        marks = self.at.setdefault(path, Marks(key, key or here))
        prefix = f"{path}." if path else ""
        first: Mark | None = None
        end: Any
        if type(event) is SequenceStartEvent:
            index = 0
            while type(end := self.next()) is not SequenceEndEvent:
                self.node(end, f"{prefix}{index}", None, depth + 1)
                index += 1
        else:
            seen: dict[str, Mark] = {}
            while type(end := self.next()) is not MappingEndEvent:
                key_mark = _mark(end)
                first = first or key_mark
                if type(end) is ScalarEvent:
                    name = end.value
                    if seen.setdefault(name, key_mark) is not key_mark:
                        self.twice.append((name, seen[name], key_mark))
                else:
                    name = "?"
                    if type(end) is not AliasEvent:
                        self.node(end, prefix + name, None, depth + 1)
                self.node(self.next(), prefix + name, key_mark, depth + 1)
        if self.at[path] is not marks:
            return
        if event.flow_style and event.start_mark.line == end.end_mark.line:
            self.at[path] = Marks(key, here._replace(length=end.end_mark.column - event.start_mark.column))
        elif key is None and first:
            self.at[path] = Marks(None, first)  # the first key stands for an item, and for the root


def _walks(data: bytes) -> list[_Walk]:
    found: list[_Walk] = []
    text = _Text(data)
    while text is not _NO_MORE:
        following = CParser(text.data).get_event
        whole = len(found)
        try:
            while (event := following()) is not None:
                if type(event) is DocumentStartEvent:
                    text.begun = _mark(event).line - 1
                    found.append(_Walk(following))
                    found[-1].node(following(), "", None, 0)
                    whole = len(found)
            break
        except YAMLError as wrong:
            if len(found) == whole:
                found.append(_Walk(following))  # what could not be parsed counts as a document
            text = text.after(wrong)
        except _Syntax:
            break
    return found


def _mark(event: Any) -> Mark:
    start, end = event.start_mark, event.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return Mark(start.line + 1, start.column + 1, max(length, 1))


# --- mistakes of syntax -----------------------------------------------------------------------------------------------

_ADVICE = {
    "found character that cannot start any token": "a tab cannot indent, and % @ ` cannot begin a plain value: use spaces or quotes",
    "mapping values are not allowed in this context": "a plain value cannot hold ': ', put it in quotes; or the indentation is wrong",
    "could not find expected ':'": "a key needs a colon and a space after it",
    "did not find expected key": "check the indentation of this line and the one before it",
    "did not find expected '-' indicator": "check the indentation of the list",
    "did not find expected ',' or": "a text that holds { } [ ] or a comma needs quotes in here; or a bracket is not closed",
    "did not find expected node content": "a value is missing, or a bracket is not closed",
    "found a tab character": "use spaces: a tab cannot indent",
    "found unexpected end of stream": "a quote or a bracket is not closed",
    "found undefined tag handle": "tags are not accepted",
}


def _syntax(wrong: Any) -> Problem:
    """A parser's error as one sentence of ours."""
    text = " ".join(str(getattr(wrong, "problem", None) or wrong).split())
    spot = getattr(wrong, "problem_mark", None) or getattr(wrong, "context_mark", None)
    mark = Mark(spot.line + 1, spot.column + 1) if spot else Mark(1, 1)
    help = next((advice for start, advice in _ADVICE.items() if text.startswith(start)), "")
    context = getattr(wrong, "context", None)
    opened = getattr(wrong, "context_mark", None)
    related = ((Mark(opened.line + 1, opened.column + 1), str(context)),) if opened and context and spot else ()
    return Problem("RC003", f"this is not YAML: {text}", mark, help, related)
