"""What manifests only refer to: environment variables, files with secrets, pictures. Read late, and all failures told at once.

After a value is known its field's own rules are asked again: a URL may have become too long, a picture may be too large.
"""

from __future__ import annotations

import base64
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from reconciler import rules, sources, writtenout, yamltree
from reconciler.errors import InvalidManifests
from reconciler.fields import ENV_REFERENCE
from reconciler.mistakes import Mistake, Steps, did_you_mean, models_in, of_validation, quoted
from reconciler.model import Desired, Diagnostic, Secret, Severity, Url
from reconciler.project import Project, allowed
from reconciler.rules import Kinds
from reconciler.sources import SECRET_LIMIT, STDIN, Refused, nearest

PICTURE_LIMIT = 2 * 1024 * 1024
OUR_CREDENTIALS = frozenset(
    {"VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", "VOLCENGINE_SESSION_TOKEN", "VOLC_ACCESSKEY", "VOLC_SECRETKEY"}
    | {"LIVEPEER_API_KEY", "LIVEPEER_STUDIO_API_KEY"}
)
"""What the vendors know us by. Only --allow-env can let a manifest read it: reconciler.yaml is part of the change that is looked at."""


def resolve(
    desired: Iterable[Desired], *, project: Project, kinds: Kinds, env: Mapping[str, str], allow_env: Sequence[str] = ()
) -> list[Desired]:
    """`desired` with every secret, URL and picture known. `allow_env` are the operator's patterns.

    A variable must be open to both, the operator and the project: neither list can widen the other.

    Raises InvalidManifests with a diagnostic for each reference that leads nowhere or is not allowed.
    """
    resolver = _Resolver(project, kinds, env, tuple(allow_env) or None)
    found = [resolver.desired(want) for want in desired]
    if resolver.wrong:
        raise InvalidManifests(rules.helped(resolver.wrong, kinds))
    return found


def check_pictures(desired: Iterable[Desired], *, project: Project, kinds: Kinds) -> list[Diagnostic]:
    """What is wrong with the pictures that manifests name, and with references that no environment can mend; needs none."""
    resolver = _Resolver(project, kinds, None, None)
    for want in desired:
        resolver.desired(want)
    return rules.helped(resolver.wrong, kinds)


def check_written_out(desired: Iterable[Desired]) -> list[Diagnostic]:
    """Warnings of secrets that stand in URLs as text. Where ${env:NAME} is written nothing is said, and nowhere the secret."""
    return [_diagnostic(mistake, want) for want in desired for mistake in _written_out(want.values, ())]


def _written_out(value: Any, path: Steps) -> Iterator[Mistake]:
    for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
        here = (*path, key)
        if isinstance(item, Mapping | list):
            yield from _written_out(item, here)
        elif isinstance(item, Url):
            yield from _written_in(item.reference or item.reveal(), here)


def _written_in(url: str, path: Steps) -> Iterator[Mistake]:
    def warned(what: str, help: str) -> Mistake:
        return Mistake("RC023", path, f"{path[-1]} {what}", f"{help}; if this was committed, change the secret", severity=Severity.WARNING)

    if writtenout.password(url):
        yield warned("holds a password before its host", "carry it as ${env:NAME} in the path or query, where the server takes it there")
    for name in writtenout.query_values(url):
        yield warned(f"holds the value of {quoted(name)}", "write ${env:NAME} in its place")
    if "destination" in path and writtenout.stream_key(url):
        yield warned("ends in what looks like a stream key", "write ${env:NAME} in its place")


def project_file(name: str, *, beside: str, project: Project, limit: int) -> bytes:
    """The bytes of a file named relative to the manifest `beside`, which must lie in the project. Raises sources.Refused."""
    if _unfit(name):
        raise Refused("is not named relative to its manifest")
    folder = project.root if beside == STDIN else (project.root / beside).parent
    return sources.read(folder / name, root=project.root, limit=limit)


def image_data_url(name: str, *, beside: str, project: Project) -> str:
    """A PNG or JPEG file as a data URL. Raises sources.Refused."""
    data = project_file(name, beside=beside, project=project, limit=PICTURE_LIMIT)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        form = "png"
    elif data.startswith(b"\xff\xd8\xff"):
        form = "jpeg"
    else:
        raise Refused("is neither PNG nor JPEG")
    return f"data:image/{form};base64,{base64.b64encode(data).decode()}"


def _unfit(name: str) -> bool:
    """Whether a file's name is no relative path as every system writes it."""
    return PurePosixPath(name).is_absolute() or "\\" in name or "\0" in name


def _inside(path: Path, root: Path) -> bool:
    """Whether a path, which may not be there yet, stays below `root`, links followed."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return True  # a link that leads nowhere: told when it is read


def _not_open(name: str, path: Steps, project: Project) -> Mistake:
    listed = allowed(name, project.allow_env)
    help = (
        f"only the command line can open it: --allow-env {name}"
        if listed
        else f"list it in reconciler.yaml: secrets: {{allowEnv: [{name}]}}"
    )
    return Mistake("RC027", path, f"the environment variable {name} is not open to manifests", help)


@cache
def _keeps_secrets(model: Any) -> bool:
    """Whether a spec has a field for a secret that is no URL."""
    annotations = [field.annotation for field in model.model_fields.values()]
    return any(Secret in (one, *typing.get_args(one)) or any(map(_keeps_secrets, models_in(one))) for one in annotations)


class _Resolver:
    """One pass over what is wanted. Without an environment only pictures are read. A file named twice is read once."""

    def __init__(self, project: Project, kinds: Kinds, env: Mapping[str, str] | None, allow_env: tuple[str, ...] | None) -> None:
        self.project = project
        self.kinds = kinds
        self.env = env
        self.allow_env = allow_env
        self.wrong: list[Diagnostic] = []
        self.pictures: dict[tuple[Path, str], str] = {}

    def desired(self, want: Desired) -> Desired:
        kind = self.kinds.get(want.address.kind)
        assert kind is not None
        found: list[Mistake] = []
        values = want.values
        if self.env is not None:
            values = self.secrets(values, (), kind.spec, found)
        elif self.project.allow_env is not None or _keeps_secrets(kind.spec):
            found += self.closed(values, ())
        for image in kind.images:
            path = tuple(image.split("."))
            values = _changed(values, path, partial(self.picture, path=path, model=kind.spec, want=want, found=found))
        self.wrong += [_diagnostic(mistake, want) for mistake in found]
        return want if values is want.values else replace(want, values=values)

    def secrets(self, value: Any, path: Steps, model: Any, found: list[Mistake]) -> Any:
        """`value` with its secrets known; what holds none is the same object."""
        changed: dict[str | int, Any] = {}
        for key, item in value.items() if type(value) is dict else enumerate(value):
            after: Any
            if type(item) is dict or type(item) is list:
                after = self.secrets(item, (*path, key), model, found)
            elif not isinstance(item, Secret) or item.known:
                continue
            elif isinstance(item, Url):
                after = self.url(item, (*path, key), model, found)
            else:
                after = self.secret(item, (*path, key), found)
            if after is not item:
                changed[key] = after
        if not changed:
            return value
        return {**value, **changed} if type(value) is dict else [changed.get(at, item) for at, item in enumerate(value)]

    def closed(self, value: Any, path: Steps) -> Iterator[Mistake]:
        """What can be said of secrets without their texts: variables that the project keeps closed, files outside of it."""
        for key, item in value.items() if type(value) is dict else enumerate(value):
            here = (*path, key)
            if type(item) is dict or type(item) is list:
                yield from self.closed(item, here)
            elif isinstance(item, Secret) and not item.known:
                source, _, name = item.reference.partition(":")
                if isinstance(item, Url):
                    names = ENV_REFERENCE.findall(item.reference)
                elif source == "env":
                    names = [name]
                else:
                    names = []
                    if _unfit(name) or not _inside(self.project.root / name, self.project.root):
                        message = f"the file {name} lies outside of the project's folder"
                        yield Mistake("RC029", here, message, "name a file below the project's folder")
                for one in dict.fromkeys(names):
                    if not allowed(one, self.project.allow_env):
                        yield _not_open(one, here, self.project)

    def secret(self, secret: Secret, path: Steps, found: list[Mistake]) -> Secret:
        source, _, name = secret.reference.partition(":")
        if source == "env":
            text = self.variable(name, path, found)
            return secret if text is None else secret.resolved(text)
        try:
            if _unfit(name):
                raise Refused("is not named relative to the project's folder")
            data = sources.read(self.project.root / name, root=self.project.root, limit=SECRET_LIMIT)
            text = data.decode().removesuffix("\n").removesuffix("\r")
            if not text or "\0" in text:
                raise Refused("holds no secret")
        except (Refused, UnicodeDecodeError) as why:
            text = "is not UTF-8" if isinstance(why, UnicodeDecodeError) else str(why)
            found.append(Mistake("RC029", path, f"the file {name} {text}", "name a file below the project's folder"))
            return secret
        return secret.resolved(text)

    def variable(self, name: str, path: Steps, found: list[Mistake]) -> str | None:
        """The text of an environment variable, if it is there and allowed."""
        assert self.env is not None
        opened = name not in OUR_CREDENTIALS or self.allow_env is not None
        if not opened or not allowed(name, self.allow_env) or not allowed(name, self.project.allow_env):
            found.append(_not_open(name, path, self.project))
        elif not (text := self.env.get(name, "")):
            help = did_you_mean(name, self.env.keys() - {name}, otherwise=f"export {name}=...")
            found.append(Mistake("RC028", path, f"the environment variable {name} is {'empty' if name in self.env else 'not set'}", help))
        else:
            return text
        return None

    def url(self, url: Url, path: Steps, model: Any, found: list[Mistake]) -> Url:
        texts = {name: self.variable(name, path, found) for name in dict.fromkeys(ENV_REFERENCE.findall(url.reference))}
        if any(text is None for text in texts.values()):
            return url
        if nested := next((name for name, text in texts.items() if text and "${" in text), None):
            found.append(Mistake("RC060", path, f"the environment variable {nested} holds a reference itself", "write the value out"))
            return url
        whole = ENV_REFERENCE.sub(lambda part: texts[part[1]] or "", url.reference)
        wrong = _wrong(model, path, whole)
        found += wrong
        return url if wrong else typing.cast(Url, url.resolved(whole))

    def picture(self, name: Any, *, path: Steps, model: Any, want: Desired, found: list[Mistake]) -> Any:
        if not isinstance(name, str) or name.startswith("data:"):
            return name
        beside = want.place.file
        key = ((self.project.root / beside).parent, name)
        if key not in self.pictures:
            try:
                self.pictures[key] = image_data_url(name, beside=beside, project=self.project)
            except Refused as why:
                found.append(Mistake("RC029", path, f"the picture {name} {why}", "name a file beside the manifest"))
                return name
        if wrong := _wrong(model, path, self.pictures[key]):
            found += wrong
            return name
        return self.pictures[key]


def _diagnostic(mistake: Mistake, want: Desired) -> Diagnostic:
    path = ("spec", *mistake.path)
    return Diagnostic(
        mistake.severity, mistake.rule, mistake.message, nearest(want, path), str(want.address), yamltree.dotted(path), mistake.help
    )


def _changed(values: Any, path: Steps, how: Callable[[Any], Any]) -> Any:
    """`values` with what stands at `path` passed through `how`; the same object when nothing changed or is there."""
    if not isinstance(values, Mapping) or path[0] not in values:
        return values
    before = values[path[0]]
    after = how(before) if len(path) == 1 else _changed(before, path[1:], how)
    return values if after is before else {**values, path[0]: after}


# --- asking a field again ---------------------------------------------------------------------------------------------


def _wrong(model: Any, path: Steps, text: str) -> list[Mistake]:
    """What the field at `path` of a spec model says to `text`. No message holds the text: it may be secret."""
    adapter = _adapter(model, tuple(step for step in path if isinstance(step, str)))
    if adapter is None:
        return []
    try:
        adapter.validate_python(text)
    except ValidationError as wrong:
        return of_validation(wrong.errors(include_url=False, include_input=False), "", path, model=model)
    return []


@cache
def _adapter(model: Any, keys: tuple[str, ...]) -> TypeAdapter[Any] | None:
    model.model_rebuild()
    for info in model.model_fields.values():
        if info.alias == keys[0]:
            if len(keys) == 1:
                kept: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
                return TypeAdapter(kept)
            for inner in models_in(info.annotation):
                if found := _adapter(inner, keys[1:]):
                    return found
    return None
