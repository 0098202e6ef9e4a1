"""Hostile input in five places: manifests, vendors' answers, saved plans, the ledger's file, texts on their way to a display.

Every input comes from a seed: `python -m tests.hostile.test_hostile manifests 4711` runs one again. Allowed are a result and an error of
ours; a crash, a hang (more than PATIENCE seconds of computing for one input) or a character that steers a display is a failure.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from reconciler import manifest, project, references
from reconciler.cli import _saved
from reconciler.cli._wish import Wish
from reconciler.emulator.in_process import handler
from reconciler.engine import Engine, Options, Wanted
from reconciler.errors import InvalidManifests, LedgerError, ReconcilerError, Stale, UsageError
from reconciler.kinds import Registry
from reconciler.ledger import Ledger, open_ledger
from reconciler.ledger.sqlite import SqliteLedger
from reconciler.model import Action, Diagnostic, FieldChange, Need, Place, Severity
from reconciler.render import diagnostics, markdown, reports, text
from reconciler.render import json as documents
from reconciler.vendors import Transports
from tests.ledger.things import FULL_ENTRY, an_entry, an_intent
from tests.render.samples import HOSTILE, LOOK, change, plan
from tests.scenarios.manifests import KINDS, S3
from tests.scenarios.stage import ENV, Stage

PATIENCE = 2.0
Feed = Callable[[random.Random], None]


def feed(target: str, seeds: range) -> int:
    """Gives a target one input for each seed."""
    with TARGETS[target]() as taste:
        for seed in seeds:
            began = time.process_time()
            try:
                taste(random.Random(seed))
            except Exception as wrong:
                raise AssertionError(f"{target} {seed}: {type(wrong).__name__}: {str(wrong)[:500]}") from wrong
            spent = time.process_time() - began
            assert spent < PATIENCE, f"{target} {seed}: {spent:.1f} s for one input"
    return len(seeds)


# --- manifests --------------------------------------------------------------------------------------------------------

TOKENS = (
    "&a ", "*a", "<<: *a", "!!python/object/apply:os.system ['true']", "!!binary aGk=", "!x ", "{", "}", "[", "]", "[[[[[[[[[[[[[[[[",
    "{a: " * 40, "- " * 40, "? ", ": ", "|", ">-", "%YAML 1.1\n", "---\n", "...\n", "\t", "\r", "\r\n", "\x00", "\x1b[2J", "\u202e", "\u2028",
    "\ufeff", "\ud7ff", "😀", "'", '"', "\\", "\\x00", "#", "null", "~", ".nan", ".inf", "1e400", "9" * 5000, "-0", "0x10", "0o17", "010",
    "1_000", "yes", "2026-13-45T99:99:99Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "PT1H", "9999999999h", "-1s", "1e9s",
    "${env:HOME}", "${env:", "${var:x}", "$" * 300, "a" * 5000, "(a+)+$" * 40, "rtmp://", "http://[::1", "http://%", "//", "../../../etc/passwd",
    "/proc/self/environ", "file:///dev/zero", "@" * 200, "repeat: {every: day, until: 9999-12-31}", "kind: 7", "apiVersion: []", "name: .",
)  # fmt: skip
LINES = [line for text in KINDS.values() for line in text.splitlines(keepends=True)]
REPEATS = (
    "schedule: {timezone: Europe/London, start: 2026-10-25T01:30:00, duration: 1h, repeat: {every: day, count: 5}}\n",
    "schedule: {timezone: Asia/Shanghai, start: 2026-11-20T08:00:00, duration: 25h, repeat: {every: week, on: [mon, sun], until: 2027-01-01}}\n",
)


def bent(chance: random.Random, data: str) -> str:
    """A text with a few things done to it."""
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        at = chance.randrange(len(data) + 1)
        lines = data.splitlines(keepends=True) or [""]
        spot = chance.randrange(len(lines))
        match chance.randrange(9):
            case 0:
                data = data[:at] + chance.choice(TOKENS) + data[at:]
            case 1:
                data = data[:at] + data[at + chance.randrange(1, 30) :]
            case 2:
                data = data[:at] + chr(chance.choice((chance.randrange(128), chance.randrange(0xD800)))) + data[at + 1 :]
            case 3:
                data = "".join([*lines[:spot], chance.choice(LINES), *lines[spot:]])
            case 4:
                data = "".join([*lines[:spot], *lines[spot + 1 :]])
            case 5:
                data = "".join([*lines[: spot + 1], *lines[spot:]])
            case 6:
                key, colon, _ = lines[spot].partition(":")
                data = "".join([*lines[:spot], f"{key}{colon} {chance.choice(TOKENS)}\n", *lines[spot + 1 :]])
            case 7:
                data = "".join([*lines[:spot], " " * chance.randrange(8) + lines[spot].lstrip(), *lines[spot + 1 :]])
            case 8:
                data = "".join([*lines[:spot], chance.choice(REPEATS), *lines[spot:]])
    return data


@contextmanager
def manifests() -> Iterator[Feed]:
    """Bytes through `manifest.load`, then the references that it found, then the diagnostics as people see them."""
    with tempfile.TemporaryDirectory() as folder:
        where, kinds = project.find(Path(folder)), Registry()

        def taste(chance: random.Random) -> None:
            base = "---\n".join(chance.sample(list(KINDS.values()), chance.choice((1, 1, 2))))
            data = bent(chance, base).encode(errors="surrogatepass")
            if chance.random() < 0.2:
                at = chance.randrange(len(data) or 1)
                data = data[:at] + chance.randbytes(chance.randrange(1, 5)) + data[at + 1 :]
            loaded = manifest.load(project.files(where, "-"), project=where, kinds=kinds, stdin=data)
            assert all(isinstance(one, Diagnostic) for one in loaded.diagnostics)
            shown = diagnostics.diagnostics(loaded.diagnostics, LOOK, source=lambda place: project.source_line(place, where, stdin=data))
            assert_harmless("\n".join(shown))
            if not any(one.severity is Severity.ERROR for one in loaded.diagnostics):
                with suppress(InvalidManifests):
                    references.resolve(loaded.desired, project=where, kinds=kinds, env=S3)

        yield taste


# --- vendors' answers -------------------------------------------------------------------------------------------------

LEAVES = (
    None, True, False, 0, -1, 2**63, 10**40, 1e308, 1.5, "", "x", "0", "-1", "null", "\x1b[31m\u202e", "a" * 10_000, "2026-99-99T00:00:00Z",
    "2026-11-22T00:00:00+08:00", [], {}, [None], [[]], {"": None}, [{}] * 3, ["x"] * 50, "rtmp://u:p@h/x?key=y", "1e400", "\ud800",
)  # fmt: skip
RAW = (
    b"", b"null", b"[]", b"{}", b"NaN", b'{"Result": NaN}', b"[" * 5000, b"{\"a\":" * 300 + b"1" + b"}" * 300, b"\xff\xfe", b"<html>", b"1e999",
    b'{"ResponseMetadata": {}, "Result": {"List": null}}', b'{"ResponseMetadata": {"Error": "x"}}', b'{"Result": "\\ud800"}', b"\x00" * 100,
    b'{"ResponseMetadata": [], "Result": []}', b'{"ResponseMetadata": {"Error": {"Code": 7, "Message": null}}}', b'{"errors": [null, 7, "{"]}',
)  # fmt: skip
STATUSES = (200, 200, 200, 200, 201, 204, 206, 304, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503, 599)


def twisted(chance: random.Random, value: Any) -> Any:
    """Parsed JSON with one node changed, moved, doubled or gone."""
    nodes: list[tuple[Any, Any]] = []

    def gather(here: Any) -> None:
        for key in here if isinstance(here, dict) else range(len(here)):
            nodes.append((here, key))
            if isinstance(here[key], dict | list):
                gather(here[key])

    value = json.loads(json.dumps(value))
    if isinstance(value, dict | list):
        gather(value)
    for _ in range(chance.choice((1, 1, 2, 4))):
        if not nodes:
            return chance.choice(LEAVES)
        holder, key = chance.choice(nodes)
        with suppress(KeyError, IndexError):
            match chance.randrange(5):
                case 0:
                    del holder[key]
                case 1 if isinstance(holder, list):
                    holder.extend(holder[:3])
                case 2:
                    other, there = chance.choice(nodes)
                    holder[key] = json.loads(json.dumps(other[there]))
                case 3 if isinstance(holder[key], str):
                    holder[key] = chance.choice(
                        (holder[key][:3], holder[key] * 2, f"{holder[key]}.2", holder[key].lower(), holder[key][::-1])
                    )
                case _:
                    holder[key] = chance.choice(LEAVES)
    return value


@contextmanager
def answers() -> Iterator[Feed]:
    """A whole plan over real clients and kinds, every answer of every read spoilt; each plan is some ten answers."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), env=S3)
        stage.write("---\n".join(KINDS.values()))
        stage.apply()
        stage.advance(minutes=3)
        loaded = stage.loaded()
        where, kinds = project.find(Path(folder)), Registry()
        desired = references.resolve(loaded.desired, project=where, kinds=kinds, env={**ENV, **S3})
        ledger = stage.ledger()
        honest = handler(stage.emulator)
        now = random.Random(0)
        share = 0.0

        def spoilt(sent: httpx.Request) -> httpx.Response:
            answer = honest(sent)
            if now.random() > share:
                return answer
            status = answer.status_code if now.random() < 0.7 else now.choice(STATUSES)
            if now.random() < 0.15:
                content = now.choice(RAW)
            elif now.random() < 0.15:
                at = now.randrange(len(answer.content) or 1)
                content = answer.content[:at] + now.randbytes(2) + answer.content[at + now.randrange(3) :]
            else:
                content = json.dumps(twisted(now, json.loads(answer.content or b"null"))).encode()
            headers = {"date": answer.headers.get("date", ""), "retry-after": now.choice(("", "1", "-1", "9" * 30, "soon"))}
            return httpx.Response(status, headers=headers, content=content, request=sent)

        http = httpx.Client(transport=httpx.MockTransport(spoilt))
        engine = Engine(
            workspace="default", kinds=kinds.get, ledger=ledger, clock=stage.clock, wanted=Wanted(desired, "d", 1), parallelism=0,
            transports=Transports({}, ENV, home=Path(folder), clock=stage.clock, read_only=True, client=http),
        )  # fmt: skip

        def taste(chance: random.Random) -> None:
            nonlocal now, share
            now, share = chance, chance.choice((0.2, 0.5, 1.0))
            try:
                made = engine.plan(Options())
            except ReconcilerError as wrong:
                assert wrong.exit_code != 70, f"a fault of ours: {wrong}"
                assert_harmless(text.clean(wrong.message))
                return
            assert_harmless("\n".join(text.plan(made, LOOK)))

        yield taste
        http.close()
        ledger.close()


# --- saved plans ------------------------------------------------------------------------------------------------------


@contextmanager
def plans() -> Iterator[Feed]:
    """Bytes of a signed plan: whatever is changed in it, apply refuses it, and show shows it or says that it cannot."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clock = Stage(folder, seed="").clock
        ledger = open_ledger("state.db", root=folder, workspace="sports", clock=clock, create=True)
        made = replace(plan(), lineage=ledger.lineage, workspace="sports")
        document = _saved.signed(json.loads(documents.dump(documents.plan(made, selection={"path": "."}))), ledger.key)
        whole = documents.dump(document).encode()
        file = folder / "plan.json"
        scene = SimpleNamespace(
            ledger=lambda *, create: ledger, project=SimpleNamespace(workspace="sports", environment="", root=folder), clock=clock
        )

        def taste(chance: random.Random) -> None:
            match chance.randrange(4):
                case 0:
                    at = chance.randrange(len(whole))
                    data = whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]
                case 1:
                    data = whole[: chance.randrange(len(whole))]
                case 2:
                    data = json.dumps(twisted(chance, document)).encode()
                case _:
                    data = bent(chance, whole.decode()).encode(errors="surrogatepass")
            file.write_bytes(data)
            try:
                found = _saved.read(file)
            except UsageError:  # refused before it is a plan at all
                return
            if found is None or found.document == document:
                return
            with suppress(ValueError):
                assert_harmless("\n".join(text.plan(documents.read_plan(found.document), LOOK)))
            try:
                found.checked(cast(Any, scene), cast(Any, None), found.wish(folder, Wish()))
            except Stale:
                return
            raise AssertionError("a changed plan was taken")

        yield taste
        ledger.close()


# --- the ledger's file ------------------------------------------------------------------------------------------------


@contextmanager
def ledgers() -> Iterator[Feed]:
    """Bits and cuts of a ledger's file: it says what it said, or that it is damaged."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clock = Stage(folder, seed="").clock
        ledger = open_ledger("whole.db", root=folder, workspace="news", clock=clock, create=True)
        with ledger.acquire("me", timeout=0) as lease:
            ledger.put(an_entry())
            ledger.put(FULL_ENTRY)
            ledger.begin(lease, an_intent())
            ledger.set_note("incarnation/x", "3")
            ledger.record({"run": "r1", "plan": "p1"})
        truth = _told(ledger)
        ledger.close()
        with sqlite3.connect(folder / "whole.db") as db:
            db.execute("PRAGMA journal_mode = DELETE")
        db.close()
        whole = (folder / "whole.db").read_bytes()
        file = folder / "state.db"

        def taste(chance: random.Random) -> None:
            data = bytearray(whole)
            match chance.randrange(5):
                case 0:
                    del data[chance.randrange(len(data)) :]
                case 1:
                    at = chance.randrange(len(data))
                    data[at : at + 16] = chance.randbytes(len(data[at : at + 16]))
                case _:
                    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            for suffix in ("", "-wal", "-shm", "-journal"):
                file.with_name(f"state.db{suffix}").unlink(missing_ok=True)
            file.write_bytes(data)
            opened: Ledger | None = None
            try:
                opened = open_ledger("state.db", root=folder, workspace="news", clock=clock, create=False)
                if opened.kept:
                    assert _told(opened) == truth, "it says something else, and no error"
                else:
                    assert not opened.entries()
            except LedgerError as wrong:
                assert wrong.next_step
            finally:
                if isinstance(opened, SqliteLedger):
                    opened.close()

        yield taste


def _told(ledger: Ledger) -> str:
    entries = sorted((str(address), repr(entry), repr(entry.applied)) for address, entry in ledger.entries().items())
    held = [ledger.lineage, ledger.key.hex(), repr(ledger.open_intents()), repr(ledger.history()), ledger.note("incarnation/x")]
    return repr([entries, held, repr(ledger.tombstones())])


# --- texts ------------------------------------------------------------------------------------------------------------

PIECES = (
    "\x1b[2J\x1b]8;;http://evil\x1b\\", "\x9b31m", "\u202egnp.exe", "\u2066", "\u200b", "\ufeff", "\U000e0041", "\ud800", "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>", "</td></table>", "]]>", "&lt;", "&#x3c;", "```", "~~~", "````", "|", "\n", "\r\n", "\n\n# x\n", "[x](http://evil)",
    "![x](http://evil)", "@org/team", "#123", "::error::x", "##[error]x", "%0A::set-env name=x::y", "=cmd|' /C calc'!A0", "-1+1", "- [ ] x", "\\",
    "`", "$(x)", "{{x}}", "%s%n", "\x00", "\x07", "\x7f", "\x85", "\u2028", "e\u0301" * 50, "早间新闻", "😀", "🏳️‍🌈", "ﷺ" * 20, "www.evil.com", " " * 300,
    "-->", "<!-- reconciler:plan workspace=x -->", "\t", "a" * 3000, HOSTILE,
)  # fmt: skip


@contextmanager
def texts() -> Iterator[Feed]:
    """Hostile names, titles and messages through every renderer."""

    def taste(chance: random.Random) -> None:
        bad = [
            "".join(chance.choice((chance.choice(PIECES), chr(chance.choice((chance.randrange(256), chance.randrange(0x2000, 0x3000)))))) for _ in range(chance.randint(1, 6)))
            for _ in range(6)
        ]  # fmt: skip
        one = change(
            Action.UPDATE, bad[0], bad[1], place=Place(bad[2].replace("\0", ""), 3), warnings=(bad[3],), needs=Need(bad[4]),
            fields=(FieldChange("spec.title", bad[5], bad[3]), FieldChange(f"spec.{bad[1]}", [bad[0]], {"x": bad[2], bad[4]: 1})),
        )  # fmt: skip
        wrong = Diagnostic(Severity.ERROR, "RC112", bad[1], Place(bad[2], 1, 1, 3), bad[0], bad[5], help=bad[4])
        made = plan(one)
        found = reports.Findings(made, (wrong,), json.loads(documents.dump(documents.plan(made))), exit_code=2, workspace=bad[3])
        assert_harmless("\n".join(text.plan(made, LOOK)))
        assert_harmless("\n".join(diagnostics.diagnostics([wrong], LOOK, source=lambda _: bad[0])))
        for name, render in reports.REPORTS.items():
            shown = render(found, LOOK)
            assert_harmless(shown)
            shown.encode()
            if name in ("json", "sarif", "gitlab-codequality", "gitlab-terraform"):
                json.loads(shown)
            elif name == "junit":
                ET.fromstring(shown)
            elif name == "html":
                assert_only_our_html(shown)
        assert_harmless(markdown.plan(made, LOOK))

    yield taste


_INVISIBLE = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))} - {
    "\n"
}


def assert_harmless(shown: str) -> None:
    """Nothing in it steers a display."""
    bad = {character for character in shown if character in _INVISIBLE or "\ud800" <= character <= "\udfff"}
    assert not bad, f"{sorted(map(ascii, bad))} in {shown[max(0, shown.find(next(iter(bad))) - 60) :][:120]!a}"


def assert_only_our_html(shown: str) -> None:
    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "img", "iframe", "object", "form", "link", "base"), tag
            assert not [name for name, _ in attrs if name.startswith("on")], attrs

    Tags(convert_charrefs=False).feed(shown)


TARGETS: dict[str, Callable[[], Any]] = {"manifests": manifests, "answers": answers, "plans": plans, "ledgers": ledgers, "texts": texts}
SAMPLE = {"manifests": 800, "answers": 150, "plans": 800, "ledgers": 400, "texts": 200}
MANY = {"manifests": 160_000, "answers": 25_000, "plans": 150_000, "ledgers": 200_000, "texts": 65_000}
"""For the long suite; a seed of `answers` is some ten spoilt answers."""
SLICES = 10


@pytest.mark.parametrize("target", TARGETS)
def test_a_sample(target: str) -> None:
    feed(target, range(SAMPLE[target]))


@pytest.mark.long
@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("target", TARGETS)
def test_six_hundred_thousand(target: str, part: int) -> None:
    step = MANY[target] // SLICES
    feed(target, range(1_000_000 + part * step, 1_000_000 + (part + 1) * step))


def test_it_is_six_hundred_thousand() -> None:
    assert sum(MANY.values()) >= 600_000


if __name__ == "__main__":
    feed(sys.argv[1], range(int(sys.argv[2]), int(sys.argv[2]) + 1))
    print(f"{sys.argv[1]} {sys.argv[2]}: harmless, {datetime.now(UTC) - timedelta():%H:%M:%S}")
