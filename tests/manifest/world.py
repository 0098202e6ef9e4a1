"""Three made-up kinds and a project folder: enough to read manifests with, and independent of the real kinds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from reconciler import manifest, project, wire
from reconciler.fields import HARMLESS, REPLACE, Doc, Instant, Seconds, SecretRef, Spec, UrlField, Wire, fault, faults
from reconciler.model import Desired, Diagnostic, Kind, Scheduling, Severity, Url

RULES = {"RC900": ("pump title", "A title has at most 8 characters."), "RC901": ("pump length", "At most 7 days.")}


class Stream(Spec):
    user: Annotated[str, Wire("User"), Doc("who publishes")]
    index: Annotated[int, Wire("Index"), Field(ge=0, le=16)] = 0


class Layout(Spec):
    mode: Annotated[Literal["custom", "adaptive", "vertical"], Wire("Mode")] = "adaptive"
    x: Annotated[float | None, Wire("X"), Field(ge=0, lt=1)] = None
    regions: Annotated[list[Stream] | None, Wire("Regions")] = None

    @model_validator(mode="after")
    def _agree(self) -> Layout:
        faults(
            fault("RC902", f"region {at} is the host", at=f"regions.{at}.user")
            for at, one in enumerate(self.regions or ())
            if one.user == "host"
        )
        return self


class PumpSpec(Spec):
    title: Annotated[str | None, Wire("Title"), HARMLESS, Doc("the name", limit="1 to 8 characters"), Field(max_length=8)] = None
    group: Annotated[str, Wire("Group"), REPLACE, Doc("the group", default="default"), Field(pattern="^[a-z]+$")] = "default"
    url: Annotated[Url, UrlField(schemes=("http", "rtmp"), limit=60, rule="RC115", what="source"), Wire("Src"), Doc("what is pulled")]
    out: Annotated[str, Wire("Dst"), Doc("where it goes")] = "nowhere"
    loop: Annotated[int | Literal["forever"] | None, Wire("Loop")] = None
    gap: Annotated[Seconds | None, Wire("Gap"), Doc("a pause", unit="s")] = None
    key: Annotated[SecretRef | None, Wire("Key")] = None
    enabled: Annotated[bool, Wire("On")] = True
    layout: Annotated[Layout | None, Wire("Layout")] = None
    streams: Annotated[list[Stream] | None, Wire("Streams"), Field(max_length=2)] = None
    picture: Annotated[str | None, Wire("Picture")] = None


class Pump(Kind):
    """Like a relay: the vendor begins and ends it."""

    name = "Pump"
    vendor = "nobody"
    spec = PumpSpec
    scheduling = Scheduling.VENDOR
    schedule = "required"
    summary = "a pump"
    images = ("picture",)

    def canonical(self, spec: Any, *, name: str) -> Mapping[str, Any]:
        return {"title": name[:8], **wire.canonical(spec)}

    def identity(self, want: Desired) -> str:
        return f"{want.values['group']}/{want.values['title']}"

    def claims(self, want: Desired) -> tuple[str, ...]:
        return () if want.values["out"] == "nowhere" else (f"rtmp://{want.values['out']}",)

    def vet_window(self, want: Desired) -> Iterator[Diagnostic]:
        assert want.timing is not None
        window = want.timing.window
        if window.end and window.end - window.start > timedelta(days=7):
            yield Diagnostic(Severity.ERROR, "RC901", "a pump runs at most 7 days", path="schedule.end")

    def vet(self, want: Desired) -> Iterator[Diagnostic]:
        yield from self.vet_window(want)
        if want.values["title"] == "odd":
            yield Diagnostic(Severity.WARNING, "RC900", "this title is odd", path="spec.title")


class SessionSpec(Spec):
    room: Annotated[str, Wire("Room")]


class Session(Pump):
    """Like a recording: somebody starts and stops it."""

    name = "Session"
    spec = SessionSpec
    scheduling = Scheduling.RUNNER
    schedule = "optional"
    images = ()

    def canonical(self, spec: Any, *, name: str) -> Mapping[str, Any]:
        return wire.canonical(spec)

    def identity(self, want: Desired) -> str:
        return str(want.values["room"])

    def claims(self, want: Desired) -> tuple[str, ...]:
        return ()

    def vet_window(self, want: Desired) -> Iterator[Diagnostic]:
        return iter(())

    def vet(self, want: Desired) -> Iterator[Diagnostic]:
        return iter(())


class CutSpec(Spec):
    start: Annotated[Instant, Wire("Start")]


class Cut(Session):
    """Like a clip: no schedule."""

    name = "Cut"
    spec = CutSpec
    scheduling = Scheduling.RETROSPECTIVE
    schedule = "none"

    def identity(self, want: Desired) -> str:
        return str(want.values["start"])


class Kinds:
    def __init__(self) -> None:
        self.known: dict[str, Kind] = {kind.name: kind for kind in (Pump(), Session(), Cut())}

    def get(self, name: str) -> Kind | None:
        return self.known.get(name)

    def names(self) -> list[str]:
        return sorted(self.known)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self.known.values())


KINDS = Kinds()


def load(root: Path, *texts: str | bytes, whole: bool = True, **files: str | bytes) -> manifest.Loaded:
    """Loads texts as a.yaml, b.yaml ... of a project at `root`; `reconciler` is its project file."""
    settings = files.pop("reconciler", None)
    if settings is not None:
        (root / project.NAME).write_text(str(settings))
    for name, text in zip("abcdefgh", texts, strict=False):
        (root / f"{name}.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    found = project.find(root)
    selection = project.files(found, root)
    return manifest.load(replace(selection, whole=whole), project=found, kinds=KINDS)


def lines(loaded: manifest.Loaded) -> list[str]:
    """`a.yaml:8:10 RC112 message` for every diagnostic."""
    return [f"{one.place} {one.rule} {one.message}" for one in loaded.diagnostics]


HEAD = "apiVersion: broadcast.reconciler/v1\n"


def pump(
    name: str = "one", *, start: str = "2026-12-01T08:00:00Z", duration: str = "1h", spec: str = "", meta: str = "", more: str = ""
) -> str:
    """A right manifest in seven lines: apiVersion, kind, metadata, schedule, spec, spec.url, then `spec`'s lines."""
    return (
        f"{HEAD}kind: Pump\nmetadata: {{name: {name}{meta}}}\nschedule: {{start: {start}, duration: {duration}}}\n{more}"
        f"spec:\n  url: http://pull.example.com/a\n{spec}"
    )


def session(name: str = "one", *, room: str = "r", schedule: str = "") -> str:
    return f"{HEAD}kind: Session\nmetadata: {{name: {name}}}\n{schedule}spec: {{room: {room}}}\n"
