"""validate, schema, explain, render: everything about manifests that needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import _flags
from reconciler.cli._session import REPORTS, Session, session
from reconciler.errors import InvalidManifests, UsageError
from reconciler.model import Severity
from reconciler.render import diagnostics, json
from reconciler.render.safe import clean, hanging, wrap

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


@click.command(short_help="Check manifests; no network.")
@_flags.path
@click.option("--strict", is_flag=True, help="Warnings are errors, too.")
@_flags.untrusted
def validate(path: str, strict: bool, untrusted: bool) -> int:
    """Check syntax, fields, references, the vendors' limits and time conflicts; every mistake at once, each at its line.

    Nothing is sent anywhere, and no secret is needed. Exit 65 when anything is wrong.

    \b
      reconciler validate
      reconciler validate manifests/news.yaml
      reconciler validate --report github --report sarif=reconciler.sarif
      cat news.yaml | reconciler validate -
    """
    from reconciler.cli._context import Scene
    from reconciler.manifest import by_place
    from reconciler.references import check_pictures, check_written_out

    run = session()
    run.formats(*REPORTS)
    scene = Scene(run, path)
    loaded = scene.loaded
    scene.refuse_nothing(loaded)
    declared = [*loaded.desired, *loaded.sketches]
    pictures = check_pictures([] if untrusted else declared, project=scene.project, kinds=scene.kinds)
    found = sorted([*loaded.diagnostics, *pictures, *check_written_out(declared)], key=by_place)
    wrong = any(one.severity is Severity.ERROR or strict for one in found)
    code = 65 if wrong else 0
    document = json.validation(found, resources=len(loaded.desired), files=loaded.files)
    if run.json:
        run.document(document)
    elif run.given.output == "text":
        look = run.look()
        if run.given.quiet:
            run.out(look.lines(diagnostics.summary(found, resources=len(loaded.desired), files=loaded.files), "bold"))
        else:
            run.out(diagnostics.diagnostics(found, look, source=run.source, resources=len(loaded.desired), files=loaded.files))
    else:
        run.out(run.rendered(run.given.output, diagnostics=found, document=document))
    run.report(diagnostics=found, document=document, exit_code=code)
    if code and run.given.output == "text":
        run.next(InvalidManifests(found).next_step)
    return code


def _kinds(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from reconciler.kinds import Registry

    return [CompletionItem(name) for name in Registry().names() if name.startswith(incomplete)]


@click.command(short_help="Print the JSON Schema of manifests, for editors.")
@click.argument("kind", required=False, metavar="[KIND]", shell_complete=_kinds)
@click.option("--project", is_flag=True, help="The schema of reconciler.yaml instead.")
def schema(kind: str | None, project: bool) -> int:
    """Print the JSON Schema (draft-07) of all manifests, of one KIND, or of reconciler.yaml.

    \b
    For VS Code with the YAML extension, in .vscode/settings.json:
      "yaml.schemas": {"schemas/manifest.schema.json": "manifests/**/*.yaml"}

    \b
      reconciler schema > schemas/manifest.schema.json
      reconciler schema RelayTask
      reconciler schema --project > schemas/project.schema.json
    """
    from reconciler import schema as schemas
    from reconciler.kinds import Registry

    run = session()
    run.formats()
    if project:
        run.document(schemas.of_project())
    elif kind:
        run.document(schemas.of_kind(known_kind(kind, Registry())))
    else:
        run.document(schemas.of_manifests(Registry()))
    return 0


def known_kind(name: str, kinds: Any) -> Any:
    """The kind of that name, in any case, singular or plural. Raises UsageError."""
    plain = {known.lower(): known for known in kinds.names()}
    found = plain.get(name.lower()) or plain.get(name.lower().removesuffix("s"))
    if found is None:
        raise UsageError(f"there is no kind {clean(name)!r}; there are {', '.join(kinds.names())}")
    return kinds.get(found)


@click.command(short_help="Explain a rule, a kind or a field.")
@click.argument("what", metavar="[CODE | KIND[.PATH]]", required=False)
def explain(what: str | None) -> int:
    """Explain a rule by its code, a kind, or a field of a kind by its path. Without an argument: all kinds and rules.

    \b
      reconciler explain RC112
      reconciler explain RelayTask
      reconciler explain RelayTask.spec.source.url
      reconciler explain RecordingSession.schedule.horizon
    """
    from reconciler import rules
    from reconciler.kinds import Registry

    run = session()
    run.formats()
    kinds = Registry()
    if not what:
        every = rules.every(kinds)
        if run.json:
            told = [{"name": kind.name, "summary": kind.summary} for kind in kinds]
            run.document({"kinds": told, "rules": [{"code": rule.code, "title": rule.title} for rule in every.values()]})
        else:
            rows = [*((kind.name, kind.summary) for kind in kinds), ("", ""), *((code, rule.title) for code, rule in every.items())]
            run.out([line for name, said in rows for line in hanging(f"{name:<18} ", said, run.look().width, indent=19)])
        return 0
    if rules.is_code(what):
        rule = rules.find(what, kinds)
        if rule is None:
            raise UsageError(f"there is no rule {what.upper()}", next_step="reconciler explain")
        if run.json:
            run.document({"code": rule.code, "title": rule.title, "explanation": rule.explanation, "help": rule.help})
        else:
            lines = [f"{rule.code}: {rule.title}", "", *wrap(rule.explanation, _room(run))]
            run.out([*lines, "", *hanging("  = help: ", rule.help, _room(run), indent=10)] if rule.help else lines)
        return 0
    _explain_field(what)
    return 0


def _explain_field(what: str) -> None:
    from reconciler import schema as schemas
    from reconciler.kinds import Registry

    run = session()
    name, *steps = what.split(".")
    kind = known_kind(name, Registry())
    whole = schemas.of_kind(kind)
    here = whole
    for done, step in enumerate(steps):
        if step.isdigit():
            continue
        below = _properties(here, whole)
        if step not in below:
            at = ".".join([kind.name, *steps[:done]])
            raise UsageError(
                f"{at} has no field {clean(step)!r}; it has {', '.join(below) or 'none'}", next_step=f"reconciler explain {at}"
            )
        here = below[step]
    if run.json:
        run.document(
            {"path": ".".join([kind.name, *steps]), "schema": here} | ({"definitions": whole.get("definitions", {})} if steps else {})
        )
        return
    lines = [".".join([kind.name, *steps]), ""]
    if told := _text(here, whole) or (kind.summary if not steps else ""):
        lines += [*wrap(told, _room(run)), ""]
    below = _properties(here, whole)
    required = set(_merged(here, whole).get("required", ()))
    for key, field in below.items():
        lines.append(f"  {key}{'*' if key in required else ''}  {_type(field, whole)}".rstrip())
        lines += [f"      {line}" for line in wrap(_text(field, whole), _room(run) - 6) if line]
    if below and required:
        lines += ["", "  * required"]
    elif not below:
        lines.append(f"  {_type(here, whole)}")
    run.out(lines)


def _room(run: Session) -> int:
    """How wide prose is set."""
    return min(run.look().width or 100, 100)


def _merged(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its references followed and its parts laid together."""
    made: dict[str, Any] = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
    parts = [part for part in schema.get("allOf", ()) if "if" not in part]
    if reference := schema.get("$ref"):
        parts.append(whole["definitions"][reference.rpartition("/")[2]])
    for part in parts:
        found = _merged(part, whole)
        made = {**found, **made, "properties": {**found.get("properties", {}), **made.get("properties", {})}}
    return made


def _alternatives(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    found = _merged(schema, whole)
    if "items" in found and isinstance(found["items"], Mapping):
        yield from _alternatives(found["items"], whole)
    for name in ("anyOf", "oneOf"):
        for part in found.get(name, ()):
            yield from _alternatives(part, whole)
    yield found


def _properties(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    return {key: field for part in _alternatives(schema, whole) for key, field in part.get("properties", {}).items()}


def _text(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    return str(_merged(schema, whole).get("description", ""))


def _type(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    found = _merged(schema, whole)
    if "enum" in found:
        return " | ".join(str(value) for value in found["enum"])
    if "const" in found:
        return str(found["const"])
    if found.get("type") == "array":
        return f"list of {_type(found.get('items', {}), whole)}"
    types = [_type(part, whole) for name in ("anyOf", "oneOf") for part in found.get(name, ())]
    return " | ".join(dict.fromkeys(filter(None, types))) or str(found.get("type", ""))


@click.command(short_help="Print manifests after variables, defaults and recurrence.")
@_flags.path
def render(path: str) -> int:
    """Print the manifests as they are planned: variables in place, defaults filled in, instants in UTC. Secrets stay references.

    \b
      reconciler render
      reconciler render -e staging manifests/news.yaml
      reconciler render -o json | jq '.[].metadata.name'
    """
    import io

    from reconciler.cli._context import Scene
    from reconciler.render.manifests import rendered

    run = session()
    run.formats("yaml")
    scene = Scene(run, path)
    loaded = scene.loaded.require()
    documents = [rendered(want) for want in loaded.desired]
    if run.json:
        run.document(json.plain(documents))
        return 0
    from ruamel.yaml import YAML

    writer = YAML()
    writer.default_flow_style = False
    writer.width = 4096
    text = io.StringIO()
    for want, document in zip(loaded.desired, documents, strict=True):
        text.write(f"---\n# {clean(want.place)}\n")
        writer.dump(json.plain(document), text)
    run.out(text.getvalue() or "# no manifests")
    return 0
