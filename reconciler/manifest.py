"""Manifests -> Desired, with every mistake of every file at once, each at its line and column.

A document is read from the outside in: YAML, variables, envelope, schedule, the kind's own spec. Then all documents are held against
each other (`crossing`). Nothing here knows a kind by name, asks the environment or opens a file that is no manifest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconciler import mistakes, plainyaml, rules, scalars, schedule, sketch, sources, yamltree
from reconciler.crossing import Written, mistakes_between
from reconciler.errors import InvalidManifests
from reconciler.frozen import frozen
from reconciler.memory import uncollected
from reconciler.mistakes import Mistake, Steps, did_you_mean, misplaced_environment, quoted, unknown_keys, wrong_type
from reconciler.model import (
    Address,
    Desired,
    Diagnostic,
    Kind,
    Lifecycle,
    OnAirChange,
    Place,
    Severity,
    Timing,
)
from reconciler.project import VARIABLE, Project, Selection
from reconciler.rules import Kinds
from reconciler.sources import STDIN, Places, Refused, Source

API_VERSION = "broadcast.reconciler/v1"
ENVELOPE = ("apiVersion", "kind", "metadata", "schedule", "lifecycle", "spec")
METADATA = ("name", "account", "labels", "dependsOn", "renamedFrom")
LIFECYCLE = ("protect", "onAirChange", "onEnd", "deletionPolicy", "timeout")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_./]{0,126}[A-Za-z0-9])?")
LABEL_VALUE = 1000
"""Characters a label's value may have."""

_ENVELOPE, _METADATA, _LIFECYCLE = frozenset(ENVELOPE), frozenset(METADATA), frozenset(LIFECYCLE)
_WORDS: dict[str, tuple[str, ...]] = {
    "onAirChange": tuple(word.value for word in OnAirChange),
    "onEnd": ("leave", "restart"),
    "deletionPolicy": ("delete", "retain"),
}


@frozen
class Loaded:
    """What the manifests say. `desired` holds the documents without mistakes, in the order of files and documents.

    `digest` changes with any byte of a manifest and with the project's settings. Unless `whole`, the files are a part of the project.
    `sketches` are the documents with mistakes, as far as they are right: more may be wrong with them, and nothing is ever made of them.
    """

    desired: list[Desired]
    diagnostics: tuple[Diagnostic, ...] = ()
    files: int = 0
    digest: str = ""
    whole: bool = True
    sketches: tuple[Desired, ...] = ()

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(one for one in self.diagnostics if one.severity is Severity.ERROR)

    def require(self) -> Loaded:
        """Itself. Raises InvalidManifests when there is a mistake."""
        if self.errors:
            raise InvalidManifests(self.diagnostics, f"{scalars.counted(len(self.errors), 'mistake')} in the manifests")
        return self


def load(selection: Selection | Iterable[Path], *, project: Project, kinds: Kinds, stdin: bytes | None = None) -> Loaded:
    """Reads the selected files. Never raises for what is in them: mistakes become diagnostics."""
    if not isinstance(selection, Selection):
        selection = Selection(tuple(selection), whole=True)
    with uncollected():
        return _load(selection, project, kinds, stdin)


def _load(selection: Selection, project: Project, kinds: Kinds, stdin: bytes | None) -> Loaded:
    reader = _Reader(project, kinds)
    settings = _settings(project)
    digest = hashlib.blake2b(settings, digest_size=16)
    for source, data in _sources(selection, project, stdin, reader.diagnostics):
        digest.update(source.name.encode() + b"\0" + source.digest)
        reader.file(source, data)
    diagnostics = [*selection.diagnostics, *reader.diagnostics]
    read = not any(one.rule in _UNREAD for one in diagnostics)
    written = Written(reader.desired, reader.sketches, reader.declared, kinds)
    diagnostics += mistakes_between(written, whole=selection.whole and read)
    diagnostics = rules.helped(diagnostics, kinds)
    diagnostics.sort(key=by_place)
    files = len(selection.files) + selection.stdin
    return Loaded(reader.desired, tuple(diagnostics), files, digest.hexdigest(), selection.whole, tuple(reader.sketches))


_UNREAD = frozenset({"RC001", "RC002", "RC003", "RC008"})
"""What keeps a document from being read at all: others may rightly refer to it."""


def by_place(one: Diagnostic) -> tuple[Place, str]:
    """The order in which diagnostics are told: as one reads the files."""
    return one.place or Place(""), one.rule


def _settings(project: Project) -> bytes:
    """What of a project bears on the meaning of its manifests, as bytes."""
    accounts = {name: asdict(account) for name, account in project.accounts.items()}
    return json.dumps(
        [project.workspace, project.environment, dict(project.variables), accounts, schedule.tzdata_version()], sort_keys=True
    ).encode()


def _sources(selection: Selection, project: Project, stdin: bytes | None, wrong: list[Diagnostic]) -> Iterator[tuple[Source, bytes]]:
    if selection.stdin:
        yield Source(STDIN, stdin or b""), stdin or b""
    for path in selection.files:
        name = path.relative_to(project.root).as_posix() if path.is_relative_to(project.root) else path.name
        try:
            data = sources.read(path, root=project.root, limit=yamltree.LIMIT)
        except Refused as why:
            rule, help = ("RC002", "split it into several files") if "limit" in str(why) else ("RC001", "")
            wrong.append(Diagnostic(Severity.ERROR, rule, f"{name} {why}", place=Place(name), help=help))
            continue
        yield Source(name, data, path=path, root=project.root), data


# --- one document -----------------------------------------------------------------------------------------------------

_REFERENCES = frozenset({"RC024", "RC025", "RC026"})
_REFERENCE = re.compile(r"\$\{([A-Za-z]*):([^}]*)(\}?)")


class _Reader:
    """Reads documents one after the other. `declared` holds every address that was written, also in documents with mistakes."""

    def __init__(self, project: Project, kinds: Kinds) -> None:
        self.project = project
        self.kinds = kinds
        self.desired: list[Desired] = []
        self.sketches: list[Desired] = []
        self.declared: dict[Address, Places] = {}
        self.diagnostics: list[Diagnostic] = []
        self.wrong: list[Mistake] = []

    def file(self, source: Source, data: bytes) -> None:
        references = b"${" in data
        for document in plainyaml.documents(data) or yamltree.documents(data):
            if document.problems:
                self.diagnostics += [source.refusal(problem) for problem in document.problems]
            if document.value is not None:
                self.wrong = []
                want, sound = self.document(document, source, references)
                if want:
                    (self.desired if sound and not document.problems else self.sketches).append(want)

    def document(self, document: yamltree.Document, source: Source, references: bool) -> tuple[Desired | None, bool]:
        """What a document declares, and whether it is free of mistakes: with mistakes it is a sketch, as far as it is right."""
        wrong = self.wrong
        value = document.value
        address: Address | None = None
        want: Desired | None = None
        sound = True
        if type(value) is not dict:
            help = f"begin it with apiVersion: {API_VERSION}"
            wrong.append(Mistake("RC016", (), f"a manifest is a block of fields, this is {mistakes.noun(value)}", help))
        elif "kind" not in value and "apiVersion" not in value:
            help = "list the folders of manifests in reconciler.yaml, if this file is none"
            wrong.append(Mistake("RC016", (), "this is no manifest: apiVersion and kind are missing", help))
        else:
            if references:
                value = self.substituted(value, ())
            address, want, sound = self.envelope(value, document, source)
            if references and want:
                wrong += _stray(want.values, ("spec",))
        if not wrong:
            return want, sound
        shown = str(address) if address else ""
        broken = {mistake.path for mistake in wrong if mistake.rule in _REFERENCES}
        found = [
            source.diagnostic(mistake, document.index, address=shown)
            for mistake in mistakes.once(wrong)
            if mistake.rule in _REFERENCES or mistake.path not in broken  # what a broken reference stands for is not known
            if not document.problems or not _said(mistake, value, document, source)
        ]
        self.diagnostics += found
        return want, sound and not any(one.severity is Severity.ERROR for one in found)

    # variables

    def substituted(self, value: Any, path: Steps) -> Any:
        """`value`, a block or a list, with variables in place. What stays the same is the same object: an alias may share it."""
        changed: dict[str | int, Any] = {}
        for key, item in value.items() if type(value) is dict else enumerate(value):
            if type(item) is str:
                if "${" in item and (text := self.text(item, (*path, key))) != item:
                    changed[key] = text
            elif (type(item) is dict or type(item) is list) and (after := self.substituted(item, (*path, key))) is not item:
                changed[key] = after
        if not changed:
            return value
        return {**value, **changed} if type(value) is dict else [changed.get(at, item) for at, item in enumerate(value)]

    def text(self, text: str, path: Steps) -> str:
        def put(found: re.Match[str]) -> str:
            source, name, closed = found.groups()
            if source not in ("var", "env"):
                self.note("RC026", path, f"{quoted(found[0])} refers to nothing", "write ${var:NAME} or ${env:NAME}")
            elif not closed:
                self.note("RC026", path, f"{quoted(found[0])} is not closed", "write ${var:NAME} or ${env:NAME}")
            elif source == "env":
                if path[:1] != ("spec",):
                    self.wrong.append(misplaced_environment(path))
            elif not VARIABLE.fullmatch(name):
                self.note("RC026", path, f"{quoted(name)} is no name for a variable", "use letters, digits, _ and -")
            elif name not in self.project.variables:
                known = self.project.variables
                otherwise = f"known: {', '.join(known)}" if known else "add it to variables in reconciler.yaml"
                self.note("RC025", path, f"there is no variable {quoted(name)}", did_you_mean(name, known, otherwise=otherwise))
            else:
                value = self.project.variables[name]
                if "${var:" in value:
                    self.note("RC025", path, f"the variable {name} holds a variable itself", "variables are put in once: write it out")
                return value
            return found[0]

        return _REFERENCE.sub(put, text)

    # envelope

    def envelope(self, value: dict[str, Any], document: yamltree.Document, source: Source) -> tuple[Address | None, Desired | None, bool]:
        places = Places(source, document.index)
        if not value.keys() <= _ENVELOPE:
            self.wrong += unknown_keys(value, ENVELOPE, ())
        if (version := value.get("apiVersion")) != API_VERSION:
            self.version(version)
        kind = self.kind(value.get("kind"))
        metadata = self.block(value, "metadata", METADATA, _METADATA)
        name = self.name(metadata)
        address = Address(str(value["kind"]), name) if name and isinstance(value.get("kind"), str) else None
        if address:
            self.declare(address, places)
        account = self.account(metadata)
        labels = self.labels(metadata) if "labels" in metadata else {}
        depends_on = self.depends_on(metadata, address) if "dependsOn" in metadata else ()
        renamed_from = self.renamed_from(metadata, name) if "renamedFrom" in metadata else ""
        lifecycle = self.lifecycle(value) if "lifecycle" in value else _PLAIN
        timing, dropped = self.timing(value, kind)
        spec, left = self.spec(value, kind)
        if kind is None or dropped:
            return address, None, False
        want = Desired(
            address=address or Address(kind.name, f"{source.name}:{document.line}"),  # nameless, for what else is wrong with it
            values=kind.canonical(spec, name=name) if spec is not None else left,
            place=Place(source.name, document.line, document.column),
            account=account,
            workspace=self.project.workspace,
            timing=timing,
            lifecycle=lifecycle,
            labels=labels,
            depends_on=depends_on,
            renamed_from=renamed_from,
            places=places,
        )
        sound = spec is not None and not any(one.severity is Severity.ERROR for one in self.wrong)
        if timing or (kind.schedule != "required" and "schedule" not in value):  # else the window is not known, and said to be wrong
            for one in kind.vet(want) if spec is not None else kind.vet_window(want):
                self.diagnostics.append(replace(one, place=one.place or places.nearest(one.path), address=one.address or str(address)))
                sound = sound and one.severity is not Severity.ERROR
        return address, want, sound

    def note(self, rule: str, path: Steps, message: str, help: str = "") -> None:
        self.wrong.append(Mistake(rule, path, message, help))

    def block(self, value: dict[str, Any], key: str, known: Sequence[str], quick: frozenset[str]) -> dict[str, Any]:
        """The block of fields at `key`; an empty one when it is missing or something else."""
        block = value.get(key)
        if type(block) is not dict:
            if key in value:
                self.wrong.append(wrong_type(key, "a block of fields", block, (key,)))
            else:
                self.note("RC011", (key,), f"{key} is missing", f"add {key}: {{name: morning-news}}")
            return {}
        if not block.keys() <= quick:
            self.wrong += unknown_keys(block, known, (key,))
        return block

    def version(self, version: Any) -> None:
        help = f"write apiVersion: {API_VERSION}"
        if version is None:
            self.note("RC011", ("apiVersion",), "apiVersion is missing", help)
        else:
            shown = quoted(version) if isinstance(version, str) else mistakes.noun(version)
            self.note("RC016", ("apiVersion",), f"apiVersion {shown} is not known", help)

    def kind(self, name: Any) -> Kind | None:
        if type(name) is not str:
            if name is None:
                self.note("RC011", ("kind",), "kind is missing", "kinds: " + ", ".join(self.kinds.names()))
            else:
                self.wrong.append(wrong_type("kind", "text", name, ("kind",)))
            return None
        found = self.kinds.get(name)
        if found is None:
            names = self.kinds.names()
            help = did_you_mean(name, names, otherwise="kinds: " + ", ".join(names))
            self.note("RC017", ("kind",), f"there is no kind {quoted(name)}", help)
        return found

    def name(self, metadata: dict[str, Any]) -> str:
        name = metadata.get("name")
        path = ("metadata", "name")
        if type(name) is str and NAME.fullmatch(name):
            return name
        if name is None:
            if metadata or not self.wrong:
                self.note("RC011", path, "name is missing", "add a name of a-z, 0-9 and -")
        elif type(name) is not str:
            self.wrong.append(wrong_type("name", "text", name, path))
        else:
            self.note("RC018", path, f"{quoted(name)} is no name", _name_help(name))
        return ""

    def declare(self, address: Address, places: Places) -> None:
        if (first := self.declared.setdefault(address, places)) is not places:
            diagnostic = Diagnostic(
                Severity.ERROR,
                "RC040",
                f"{address} is declared twice",
                place=places.nearest("metadata.name"),
                address=str(address),
                path="metadata.name",
                help="give one of them another name",
                related=((first.nearest("metadata.name"), "first declared here"),),
            )
            self.diagnostics.append(diagnostic)

    def account(self, metadata: dict[str, Any]) -> str:
        account = metadata.get("account", "default")
        path = ("metadata", "account")
        if type(account) is not str:
            self.wrong.append(wrong_type("account", "text", account, path))
        elif account not in self.project.accounts:
            known = self.project.accounts
            help = did_you_mean(account, known, otherwise=f"reconciler.yaml knows {', '.join(known)}")
            self.note("RC046", path, f"there is no account {quoted(account)}", help)
        else:
            return account
        return "default"

    def labels(self, metadata: dict[str, Any]) -> dict[str, str]:
        labels = metadata["labels"]
        path: Steps = ("metadata", "labels")
        if type(labels) is not dict:
            self.wrong.append(wrong_type("labels", "a block of fields", labels, path))
            return {}
        for key, value in labels.items():
            if not LABEL.fullmatch(key):
                help = "use letters, digits, - _ . and /, at most 128"
                self.wrong.append(Mistake("RC047", (*path, key), f"{quoted(key)} is no name for a label", help, at_key=True))
            if type(value) is not str:
                self.wrong.append(wrong_type(key, "text", value, (*path, key)))
            elif len(value) > LABEL_VALUE:
                self.note("RC047", (*path, key), f"label {quoted(key)} has {len(value)} characters, the most is {LABEL_VALUE}")
        return labels

    def depends_on(self, metadata: dict[str, Any], own: Address | None) -> tuple[Address, ...]:
        listed = metadata["dependsOn"]
        path: Steps = ("metadata", "dependsOn")
        if type(listed) is not list:
            self.wrong.append(wrong_type("dependsOn", "a list of addresses", listed, path))
            return ()
        found: dict[Address, None] = {}
        for at, text in enumerate(listed):
            try:
                if type(text) is not str:
                    raise ValueError(f"an address is text, this is {mistakes.noun(text)}")
                address = Address.parse(text)
            except ValueError as wrong:
                self.note("RC042", (*path, at), str(wrong), "" if "write Kind/name" in str(wrong) else "write Kind/name")
                continue
            if address == own:
                self.note("RC043", (*path, at), f"{address} depends on itself", "remove it")
            elif address in found:
                self.note("RC042", (*path, at), f"{address} is listed twice", "remove one")
            else:
                found[address] = None
        return tuple(found)

    def renamed_from(self, metadata: dict[str, Any], name: str) -> str:
        earlier = metadata["renamedFrom"]
        path = ("metadata", "renamedFrom")
        if type(earlier) is not str:
            self.wrong.append(wrong_type("renamedFrom", "text", earlier, path))
        elif not NAME.fullmatch(earlier):
            self.note("RC041", path, f"{quoted(earlier)} is no name", "write the earlier metadata.name alone, without the kind")
        elif earlier == name:
            self.note("RC041", path, "renamedFrom is the present name", "remove it, or write the earlier name")
        else:
            return earlier
        return ""

    def lifecycle(self, value: dict[str, Any]) -> Lifecycle:
        block = self.block(value, "lifecycle", LIFECYCLE, _LIFECYCLE)
        path = "lifecycle"
        protect = block.get("protect", False)
        if type(protect) is not bool:
            self.wrong.append(wrong_type("protect", "true or false", protect, (path, "protect")))
        chosen: dict[str, str] = {}
        for key, words in _WORDS.items():
            word = chosen[key] = block.get(key, words[0])
            if type(word) is not str:
                self.wrong.append(wrong_type(key, "one of " + ", ".join(words), word, (path, key)))
            elif word not in words:
                help = did_you_mean(word, words)
                self.note("RC013", (path, key), f"{key} cannot be {quoted(word)}, it is one of {', '.join(words)}", help)
        timeout: timedelta | None = None
        if "timeout" in block:
            try:
                timeout = scalars.length(block["timeout"])
                if not timeout:
                    raise ValueError("timeout is 1s at least; to wait for nothing, run apply with --no-wait")
            except (ValueError, OverflowError) as error:
                text = str(error) if isinstance(error, ValueError) else "timeout is beyond the calendar"
                self.note("RC021", (path, "timeout"), text)
        if self.wrong:
            return _PLAIN
        return _lifecycle(protect, chosen["onAirChange"], chosen["onEnd"], chosen["deletionPolicy"], timeout)

    def timing(self, value: dict[str, Any], kind: Kind | None) -> tuple[Timing | None, bool]:
        """The timing, and whether the only window was dropped."""
        if "schedule" in value:
            if kind and kind.schedule == "none":
                message = f"a {kind.name} has no schedule"
                self.wrong.append(Mistake("RC030", ("schedule",), message, "remove it; its times stand in spec", at_key=True))
                return None, False
            timing, found = schedule.parse(value["schedule"])
            self.wrong += found
            return timing, timing is None and not any(one.severity is Severity.ERROR for one in found)
        if kind and kind.schedule == "required":
            help = "add schedule: {start: 2026-12-01T08:00:00+08:00, duration: 2h}"
            self.note("RC030", ("schedule",), f"schedule is missing, a {kind.name} needs one", help)
        return None, False

    def spec(self, value: dict[str, Any], kind: Kind | None) -> tuple[Any, dict[str, Any]]:
        """The spec; or None, and the canonical values of what is right in it."""
        spec = value.get("spec")
        if spec is None:
            if "spec" not in value:
                self.note("RC011", ("spec",), "spec is missing", "add what the object is made of")
            return None, {}
        if kind is None:
            return None, {}
        try:
            return kind.spec.model_validate(spec), {}
        except ValidationError as wrong:
            errors = wrong.errors(include_url=False)
            self.wrong += mistakes.of_validation(errors, spec, ("spec",), model=kind.spec)
            left = sketch.of(kind.spec, spec, {mistakes.real_path(error, spec) for error in errors}, ("spec",))
            self.wrong += left.mistakes
            return None, left.values


@lru_cache(maxsize=256)  # few differ, and they are immutable: one object for all that are alike
def _lifecycle(protect: bool, on_air_change: str, on_end: str, deletion_policy: str, timeout: timedelta | None) -> Lifecycle:
    return Lifecycle(
        protect=protect,
        on_air_change=OnAirChange(on_air_change),
        restart_on_end=on_end == "restart",
        retain=deletion_policy == "retain",
        timeout=timeout,
    )


def _said(mistake: Mistake, value: Any, document: yamltree.Document, source: Source) -> bool:
    """Whether a mistake only says again that the YAML reader refused what stands there: a field without a value is not missing, too."""
    marks = source.paths(document.index).get(yamltree.dotted(mistake.path))
    refused = {problem.mark[:2] for problem in document.problems}
    return marks is not None and (mistakes.value_at(value, mistake.path) is None or marks.value[:2] in refused)


_PLAIN = Lifecycle()


def _name_help(name: str) -> str:
    """What to write instead of a name that is none."""
    better = re.sub(r"[^a-z0-9]+", "-", name.lower())[:63].strip("-")
    rule = "a name is 1 to 63 of a-z, 0-9 and -, and begins and ends with a letter or digit"
    return f"{rule}; write {better}" if better else rule


def _stray(value: Any, path: Steps) -> Iterator[Mistake]:
    """Every `${env:NAME}` that stands in a plain text; in URLs and secrets it has become part of a Secret."""
    for key, item in value.items() if type(value) is dict else enumerate(value):
        if type(item) is str:
            if "${env:" in item:
                yield misplaced_environment((*path, key))
        elif type(item) is dict or type(item) is list:
            yield from _stray(item, (*path, key))
