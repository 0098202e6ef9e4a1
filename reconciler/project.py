"""reconciler.yaml: where the project begins, whose marks it writes, which files are its manifests."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ValidationError, WithJsonSchema

from reconciler import mistakes, plainyaml, rules, schedule, sources, yamltree
from reconciler.errors import InvalidManifests, UsageError
from reconciler.fields import Doc, Seconds, Spec, fault
from reconciler.frozen import frozen
from reconciler.mistakes import Mistake, did_you_mean
from reconciler.model import Diagnostic, Place, Severity
from reconciler.sources import STDIN, Refused, Source

NAME = "reconciler.yaml"
FOLDER = ".reconciler"
"""Ledger and cache live here, in the root; never a manifest."""


# --- what a project is ------------------------------------------------------------------------------------------------


@frozen
class Volcengine:
    """Which keys, and where the vendor is; "" is its own place."""

    region: str = "cn-north-1"
    profile: str = ""
    live_endpoint: str = ""
    rtc_endpoint: str = ""


@frozen
class Livepeer:
    """Where the vendor is, path and all; "" is its own place."""

    endpoint: str = ""


@frozen
class Account:
    """What `metadata.account` names: one account at each vendor."""

    volcengine: Volcengine = Volcengine()
    livepeer: Livepeer = Livepeer()


@frozen
class Guards:
    """`max_delete` is a share of what is owned (float, 0..1) or a number of objects (int); `max_off_air` None means no limit."""

    max_delete: float | int = 0.3
    max_delete_floor: int = 10
    min_lead: timedelta = timedelta(seconds=60)
    max_off_air: timedelta | None = None


@frozen
class Project:
    """`file` tells whether there is a reconciler.yaml; `environment` is the overlay in force, "" for none.

    `manifests` are folders, files and patterns below the root; none means everything below it. `allow_env` None allows every name.
    """

    root: Path
    workspace: str = "default"
    environment: str = ""
    manifests: tuple[str, ...] = ()
    state: str = f"{FOLDER}/state.db"
    zone: str = "UTC"
    accounts: Mapping[str, Account] = field(default_factory=lambda: {"default": Account()})
    guards: Guards = Guards()
    variables: Mapping[str, str] = field(default_factory=dict)
    allow_env: tuple[str, ...] | None = None
    environments: tuple[str, ...] = ()
    file: bool = False

    @property
    def folder(self) -> Path:
        return self.root / FOLDER


# --- reconciler.yaml --------------------------------------------------------------------------------------------------


_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"


def _name(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(_NAME, value):
        return value
    raise fault("RC018", "a workspace's name is 1 to 63 letters, digits, '-', '_' and '.'", help="write it like news-prod")


def _zone(value: Any) -> str:
    if not isinstance(value, str):
        raise fault("RC034", "zone must be the name of a time zone", help="write it like Asia/Shanghai")
    try:
        return schedule.zone(value).key
    except ValueError as wrong:
        help = did_you_mean(value, schedule.zone_names())
        raise fault("RC034", "{wrong}", help=help, wrong=str(wrong)) from None


def _endpoint(value: Any) -> str:
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
    except ValueError:
        raise fault("RC051", "an endpoint is a URL", help="write it like https://rtc.example.com") from None
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and loopback)):
        if parts.username or parts.query or parts.fragment:
            raise fault("RC051", "an endpoint has no user, query or fragment")
        return str(value)
    raise fault("RC051", "an endpoint must begin with https://; http:// is for loopback only")


def _share(value: Any) -> float | int:
    if isinstance(value, str) and (found := re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?)\s*%", value)) and float(found[1]) <= 100:
        return float(found[1]) / 100
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, float) and 0 <= value <= 1:
        return value
    raise fault("RC052", "maxDelete is a share or a number of objects", help="write it like 30% or 5")


def _state(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise fault("RC053", "state is the path of a file, or postgresql://user@host/database")
    if "://" in value:
        try:
            parts = urlsplit(value)
            password = parts.password
        except ValueError:
            raise fault("RC053", "state is no URL that can be read") from None
        if parts.scheme not in ("postgresql", "postgres"):
            raise fault("RC053", "state is the path of a file, or postgresql://user@host/database")
        if password is not None:
            raise fault("RC023", "state must not hold a password", help="set PGPASSWORD, or use a password file")
    return value


def _pattern(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise fault("RC054", "a manifests entry is a folder, a file or a pattern, written as text")
    parts = value.split("/")
    if value.startswith(("/", "~")) or ".." in parts or "\\" in value or "\0" in value:
        raise fault("RC054", "manifests lie below the project's folder", help="write a path relative to it, with / and without ..")
    return value


Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$"})]
Zone = Annotated[str, BeforeValidator(_zone), WithJsonSchema({"type": "string"})]
Endpoint = Annotated[str, BeforeValidator(_endpoint), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
Share = Annotated[
    float | int,
    BeforeValidator(_share),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": r"^\d{1,3}(\.\d+)?\s*%$"}, {"type": "number", "minimum": 0}]}),
]
State = Annotated[str, BeforeValidator(_state), WithJsonSchema({"type": "string", "minLength": 1})]
Pattern = Annotated[str, BeforeValidator(_pattern), WithJsonSchema({"type": "string", "minLength": 1})]


class VolcengineSettings(Spec):
    region: Annotated[str | None, Doc("the region that requests are signed for", default="cn-north-1")] = None
    profile: Annotated[str | None, Doc("a profile of ~/.volcengine/config.json", default="default")] = None
    live_endpoint: Annotated[Endpoint | None, Doc("another address of the Live API")] = None
    rtc_endpoint: Annotated[Endpoint | None, Doc("another address of the RTC API")] = None


class LivepeerSettings(Spec):
    endpoint: Annotated[Endpoint | None, Doc("another address of the API, with its path")] = None


class AccountSettings(Spec):
    volcengine: VolcengineSettings | None = None
    livepeer: LivepeerSettings | None = None


class GuardSettings(Spec):
    max_delete: Annotated[Share | None, Doc("the most an apply may delete: a share of what is owned, or a number", default="30%")] = None
    max_delete_floor: Annotated[int | None, Doc("the share counts only from this many owned objects on", default="10")] = None
    min_lead: Annotated[Seconds | None, Doc("warn of objects made later than this before their start", default="60s")] = None
    max_off_air: Annotated[Seconds | None, Doc("the most seconds of air one apply may cost")] = None


class SecretSettings(Spec):
    allow_env: Annotated[list[str] | None, Doc("names, or patterns like PUSH_*, of variables that manifests may read")] = None


class Settings(Spec):
    """What both reconciler.yaml and each of its environments may say."""

    workspace: Annotated[Name | None, Doc("the mark of ownership; what carries another is never deleted", default="default")] = None
    manifests: Annotated[list[Pattern] | None, Doc("folders, files or patterns", default="every *.yaml and *.yml below this folder")] = None
    state: Annotated[State | None, Doc("the ledger: a file, or postgresql://user@host/database", default=f"{FOLDER}/state.db")] = None
    zone: Annotated[Zone | None, Doc("the time zone that times are shown in", default="UTC")] = None
    accounts: Annotated[dict[str, AccountSettings] | None, Doc("by name; metadata.account picks one")] = None
    guards: Annotated[GuardSettings | None, Doc("limits above which a person must decide")] = None
    variables: Annotated[dict[str, str | int | float | bool] | None, Doc("used as ${var:NAME} in manifests")] = None
    secrets: Annotated[SecretSettings | None, Doc("what manifests may read from the environment")] = None


class ProjectFile(Settings):
    environments: Annotated[dict[str, Settings] | None, Doc("overlays, chosen with -e NAME")] = None


def find(path: Path | str = ".", *, environment: str = "") -> Project:
    """The project that `path` (a folder, a file, or `-` for the current folder) lies in.

    Raises UsageError for a path or an environment that is not there, InvalidManifests with every mistake of reconciler.yaml.
    """
    start = Path() if str(path) == "-" else Path(path)
    if not start.exists():
        raise UsageError(f"{start} does not exist")
    root = root_of(start)
    if (root / NAME).exists():
        return _read(root, environment)
    if environment:
        raise UsageError(f"there is no environment {environment!r}: {root} has no {NAME}", next_step="reconciler init")
    return Project(root=root)


def root_of(path: Path) -> Path:
    """The root of the project that `path` lies in, its project file unread: where there is none, the folder itself."""
    place = path.resolve()
    folder = place if place.is_dir() else place.parent
    return next((above for above in (folder, *folder.parents) if (above / NAME).exists()), folder)


def _read(root: Path, environment: str) -> Project:
    source, settings, wrong = _settings(root)
    if wrong:
        raise InvalidManifests(sorted(rules.helped(wrong), key=lambda one: one.place or Place("")))
    assert isinstance(settings, ProjectFile)
    known = settings.environments or {}
    if environment and environment not in known:
        choice = f"known: {', '.join(known)}" if known else f"{source.name} has no environments"
        raise UsageError(f"there is no environment {environment!r}; {did_you_mean(environment, known, otherwise=choice)}")
    chosen = _overlaid(settings, known[environment]) if environment else settings
    return _project(root, chosen, environment, tuple(known))


def _settings(root: Path) -> tuple[Source, ProjectFile | None, list[Diagnostic]]:
    try:
        data = sources.read(root / NAME, root=root, limit=yamltree.LIMIT)
    except Refused as why:
        return Source(NAME, b""), None, [Diagnostic(Severity.ERROR, "RC001", f"{NAME} {why}", place=Place(NAME))]
    source = Source(NAME, data, path=root / NAME, root=root)
    wrong: list[Diagnostic] = []
    values: list[tuple[int, Any]] = []
    for document in plainyaml.documents(data) or yamltree.documents(data):
        # an empty block is what remains when all its lines are commented out
        wrong += [source.refusal(problem) for problem in document.problems if problem.rule != "RC019"]
        if document.value is not None:
            values.append((document.index, document.value))
    if len(values) > 1:
        wrong.append(source.diagnostic(Mistake("RC016", (), f"{NAME} holds one document"), values[1][0]))
    index, value = values[0] if values else (0, {})
    if not isinstance(value, dict):
        mistake = mistakes.wrong_type(NAME, "a block of fields", value, ())
        return source, None, [*wrong, source.diagnostic(mistake, index)]
    found: list[Mistake] = []
    try:
        settings = ProjectFile.model_validate(value)
    except ValidationError as errors:
        found = mistakes.of_validation(errors.errors(include_url=False), value, (), model=ProjectFile)
    else:
        found = list(_beyond_fields(settings))
    wrong += [source.diagnostic(mistake, index) for mistake in found]
    return source, None if wrong else settings, wrong


def _beyond_fields(settings: ProjectFile) -> Iterator[Mistake]:
    for base, block in ((), settings), *((("environments", name), block) for name, block in (settings.environments or {}).items()):
        for name, value in (block.variables or {}).items():
            if not VARIABLE.fullmatch(name):
                message = f"{mistakes.quoted(name)} is no name for a variable"
                yield Mistake("RC025", (*base, "variables", name), message, "use letters, digits, _ and -", at_key=True)
            if len(_text(value)) > LONGEST_VARIABLE:
                message = f"a variable has at most {LONGEST_VARIABLE} characters"
                yield Mistake("RC025", (*base, "variables", name), message)
        if block.guards and block.guards.max_delete_floor is not None and block.guards.max_delete_floor < 0:
            yield Mistake("RC014", (*base, "guards", "maxDeleteFloor"), "maxDeleteFloor cannot be negative")


VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
LONGEST_VARIABLE = 1000


def _text(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _overlaid(below: Any, above: Any) -> Any:
    """Settings with an environment's laid over them, field by field and key by key."""
    if isinstance(below, BaseModel) and isinstance(above, BaseModel):
        ours = {name: getattr(below, name) for name in type(below).model_fields}
        theirs = {name: value for name in type(above).model_fields if (value := getattr(above, name)) is not None}
        return below.model_copy(update={name: _overlaid(ours[name], value) for name, value in theirs.items()})
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{name: _overlaid(below.get(name), value) for name, value in above.items()}}
    return above


def _project(root: Path, settings: ProjectFile, environment: str, environments: tuple[str, ...]) -> Project:
    guards = settings.guards or GuardSettings()
    off_air = guards.max_off_air
    return Project(
        root=root,
        workspace=settings.workspace or "default",
        environment=environment,
        manifests=tuple(settings.manifests or ()),
        state=settings.state or f"{FOLDER}/state.db",
        zone=settings.zone or "UTC",
        accounts={"default": Account(), **{name: _account(block) for name, block in (settings.accounts or {}).items()}},
        guards=Guards(
            max_delete=Guards().max_delete if guards.max_delete is None else guards.max_delete,
            max_delete_floor=Guards().max_delete_floor if guards.max_delete_floor is None else guards.max_delete_floor,
            min_lead=Guards().min_lead if guards.min_lead is None else timedelta(seconds=guards.min_lead),
            max_off_air=None if off_air is None else timedelta(seconds=off_air),
        ),
        variables={name: _text(value) for name, value in (settings.variables or {}).items()},
        allow_env=None if settings.secrets is None or settings.secrets.allow_env is None else tuple(settings.secrets.allow_env),
        environments=environments,
        file=True,
    )


def _account(block: AccountSettings) -> Account:
    volcengine, livepeer = block.volcengine, block.livepeer
    return Account(
        volcengine=Volcengine(**volcengine.model_dump(exclude_none=True)) if volcengine else Volcengine(),
        livepeer=Livepeer(**livepeer.model_dump(exclude_none=True)) if livepeer else Livepeer(),
    )


# --- which files ------------------------------------------------------------------------------------------------------


@frozen
class Selection:
    """The manifest files that a PATH means, in order. Unless it is `whole`, nothing outside it may be deleted.

    `stdin` stands for the text of standard input. `diagnostics` tell of files that were refused, `others` of folders that were passed
    over, as projects of their own.
    """

    files: tuple[Path, ...]
    whole: bool
    stdin: bool = False
    diagnostics: tuple[Diagnostic, ...] = ()
    others: tuple[Path, ...] = ()


def files(project: Project, path: Path | str = ".") -> Selection:
    """The manifests of `project` that `path` selects: its root, a folder, one file, or `-`."""
    if str(path) == "-":
        return Selection((), whole=False, stdin=True)
    chosen = followed(path)
    if chosen.is_file() and chosen.name != NAME:
        return Selection((chosen,), whole=False)
    folder = chosen if chosen.is_dir() else project.root
    if not folder.is_dir():
        raise UsageError(f"{path} does not exist")
    walk = _Walk(project.root)
    if not project.manifests:
        walk.folder(folder)
        return walk.selection(whole=folder == project.root)
    for pattern in project.manifests:
        walk.pattern(pattern)
    whole = all((project.root / _fixed_part(pattern)).resolve().is_relative_to(folder) for pattern in project.manifests)
    return walk.selection(whole=whole, below=folder)


def followed(path: Path | str) -> Path:
    """Where `path` is, all links on the way followed; a file that is a link itself keeps the name it was called by."""
    chosen = Path(path)
    return chosen.resolve() if chosen.is_dir() else chosen.parent.resolve() / chosen.name


def _fixed_part(pattern: str) -> str:
    """The folders of a pattern before its first wildcard."""
    parts = pattern.split("/")
    wild = next((at for at, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts))
    return "/".join(parts[:wild])


class _Walk:
    """Collects manifest files below a root: each real file once, in the order of their names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: dict[Path, Path] = {}  # real path -> path as named
        self.seen: set[Path] = set()
        self.wrong: list[Diagnostic] = []
        self.others: list[Path] = []

    def selection(self, *, whole: bool, below: Path | None = None) -> Selection:
        kept = [path for path in self.found.values() if below is None or path.is_relative_to(below)]
        order = sorted(kept, key=lambda path: path.relative_to(self.root).parts)
        return Selection(tuple(order), whole=whole, diagnostics=tuple(self.wrong), others=tuple(self.others))

    def pattern(self, pattern: str) -> None:
        if any(c in pattern for c in "*?["):
            for path in self.root.glob(pattern):
                parts = path.relative_to(self.root).parts
                if path.is_dir():
                    continue
                if path.suffix in (".yaml", ".yml") and path.name != NAME and not any(_skipped(part) for part in parts):
                    self.file(path)
        elif (path := self.root / pattern).is_dir():
            self.folder(path)
        elif path.exists() or path.is_symlink():
            self.file(path)

    def folder(self, folder: Path) -> None:
        real = self.inside(folder)
        if real is None or real in self.seen:
            return
        self.seen.add(real)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as wrong:
            self.refuse(folder, f"cannot be read: {wrong.strerror}")
            return
        if folder != self.root and any(entry.name == NAME for entry in entries):
            self.others.append(folder)
            return
        for entry in entries:
            if _skipped(entry.name):
                continue
            path = folder / entry.name
            if entry.is_dir():
                self.folder(path)
            elif entry.name.endswith((".yaml", ".yml")) and entry.name != NAME:
                self.file(path)

    def file(self, path: Path) -> None:
        real = self.inside(path)
        if real is None:
            return
        try:
            regular = stat.S_ISREG(real.stat().st_mode)
        except OSError as wrong:
            self.refuse(path, f"cannot be read: {wrong.strerror}")
            return
        if regular:
            self.found.setdefault(real, path)
        else:
            self.refuse(path, "is no regular file")

    def inside(self, path: Path) -> Path | None:
        """The real path, if it is inside the project; else it is refused, aloud: a manifest left out silently would be a deletion."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError):
            self.refuse(path, "is a link that leads nowhere")
            return None
        if real.is_relative_to(self.root):
            return real
        self.refuse(path, "is a link that leads out of the project folder")
        return None

    def refuse(self, path: Path, why: str) -> None:
        name = path.relative_to(self.root).as_posix()
        self.wrong.append(Diagnostic(Severity.ERROR, "RC001", f"{name} {why}", place=Place(name)))


def _skipped(name: str) -> bool:
    return name.startswith(".") or name in ("node_modules", "__pycache__")


def allowed(name: str, patterns: tuple[str, ...] | None) -> bool:
    """Whether the operator lets manifests read an environment variable."""
    return patterns is None or any(fnmatchcase(name, pattern) for pattern in patterns)


def source_line(place: Place, project: Project, *, stdin: bytes | None = None) -> str | None:
    """The line that a place points into, secrets hidden; None when it cannot be shown."""
    return sources.line_of(place, project.root, text=(stdin or b"") if place.file == STDIN else None)
