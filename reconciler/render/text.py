"""A plan and the result of an apply, as lines for people: most dangerous first, the summary last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from reconciler import guards
from reconciler.model import Action, Address, Change, Conflict, Evidence, FieldChange, Outcome, Plan, Result, Sealed, Stranger, Window
from reconciler.render.look import COLOR, SYMBOL, Look, fingerprint, length, live_values, window_of
from reconciler.render.safe import clean, cut, hanging, pad, width, wrap
from reconciler.scalars import counted

FIELDS_SHOWN = 8
"""Changed fields of one resource shown without -v."""

_INDENT = " " * 6
_LABEL = 14
_REPLACES = "  # forces replacement"


# --- plan -------------------------------------------------------------------------------------------------------------


def plan(shown: Plan, look: Look, *, seconds: float | None = None) -> list[str]:
    """Every line of a plan; `seconds` is how long it took."""
    lines = look.lines(_header(shown, seconds))
    sections: list[tuple[str, list[str]]] = [
        ("BLOCKED", _changes((one for one in shown.changes if one.action is Action.BLOCKED), shown, look)),
        ("DRIFT", _changes(shown.drift, shown, look)),
        ("CONFLICTS", _conflicts(shown.conflicts, look)),
        ("CHANGES", _changes((one for one in shown.changes if one.changes and one.action is not Action.BLOCKED), shown, look)),
        ("WAITING", _changes((one for one in shown.changes if one.action is Action.WAIT), shown, look)),
        ("ORPHANS", _strangers((one for one in shown.strangers if one.ours), look)),
        ("NOTES", _notes(shown, look)),
    ]
    if look.verbosity > 0:
        unchanged = (one for one in shown.changes if one.action is Action.NOOP and not one.warnings)
        sections.append(("UNCHANGED", _changes(unchanged, shown, look)))
        sections.append(("NOT MANAGED HERE", _strangers((one for one in shown.strangers if not one.ours), look)))
    for title, section in sections:
        if section:
            lines += ["", look.paint(title, "bold"), *section]
    return [*lines, "", *look.lines(plan_summary(shown, look), "bold")]


def _header(shown: Plan, seconds: float | None) -> str:
    count = len(shown.changes) + shown.unchanged
    text = counted(count, "resource")
    text += f" in {counted(shown.files, 'file')}" if shown.files else f' owned by workspace "{clean(shown.workspace)}"'
    if shown.live_counts:
        text += "; live: " + ", ".join(f"{clean(vendor)} {number}" for vendor, number in shown.live_counts.items())
    return text if seconds is None else f"{text}   ({seconds:.1f} s)"


def plan_summary(shown: Plan, look: Look) -> str:
    """`Plan 5c1e9a: 1 to create, 1 to update, 34 unchanged. 1 blocked. Valid until 23:30 +08:00.`"""
    count = shown.summary
    todo = [f"{count[name]} to {name}" for name in ("create", "update", "replace", "delete", "forget", "adopt") if count[name]]
    name = f"Plan {short_id(shown.id)}: "
    text = f"{name}{', '.join([*todo, str(count['unchanged']) + ' unchanged'])}."
    if not todo:
        text = f"{name}nothing to do now" if count["blocked"] else f"No changes. {name}{count['unchanged']} unchanged"
        text += f", {count['unchanged']} unchanged." if count["blocked"] else "."
    for word in ("blocked", "waiting"):
        if count[word]:
            text += f" {count[word]} {word}."
    if shown.drift:
        text += f" {len(shown.drift)} drifted."
    if shown.valid_until:
        until = look.short(shown.valid_until, shown.generated_at)
        text += f" Valid until {until} {look.instant(shown.valid_until)[-6:]}."
    return text


def short_id(identifier: str) -> str:
    """The part of an id that people read to each other."""
    return clean(identifier[:6]) or "-"


def _changes(changes: Iterable[Change], shown: Plan, look: Look) -> list[str]:
    """One block a change: a line in columns, then what there is to know of it."""
    changes = list(changes)
    heads = [(change, clean(change.address), _where(change, shown)) for change in changes]
    first = min(max((width(name) for _, name, _ in heads), default=0), 44)
    second = min(max((width(where) for change, _, where in heads if change.place), default=0), 40)
    lines: list[str] = []
    for change, name, where in heads:
        told = phrase(change, shown.generated_at, look)
        lead = f"{_symbol(change):>3} {pad(name, first)}  "
        folded = look.width is not None and width(lead) + max(second, width(where)) + 2 + width(told) > look.width
        color = COLOR.get(change.action, "")
        if not folded:
            lines.append(look.paint(lead, color) + (pad(where, second) + "   " if where else "") + told)
        else:
            room = max(20, (look.width or 80) - width(lead))
            head, *rest = wrap(told, room)
            lines.append(look.paint(lead, color) + head)
            lines += [" " * width(lead) + line for line in rest]
            if where:
                lines.append(f"{_INDENT}{pad('at', _LABEL)}{where}")
        if look.verbosity >= 0:
            lines += details(change, look)
    return lines


def _symbol(change: Change) -> str:
    return SYMBOL[change.wanted] if change.action is Action.BLOCKED and change.wanted else SYMBOL[change.action]


def _where(change: Change, shown: Plan) -> str:
    if change.place:
        return f"{clean(change.place.file)}:{change.place.line}"
    if not shown.files:  # a destroy does not ask what is declared
        return ""
    return f'(in no manifest, owned by workspace "{clean(shown.workspace)}")' if change.action in _OWNED or change.wanted in _OWNED else ""


_OWNED = (Action.DELETE, Action.FORGET)


def phrase(change: Change, now: datetime, look: Look) -> str:
    """`replace, ON AIR until 23:30, 5 s off air`: the action and the reason, which is left out where the fields below tell it."""
    verb = (change.wanted or change.action) if change.action in (Action.BLOCKED, Action.WAIT) else change.action
    reason = clean(look.local(change.reason, now))
    for known in (
        "differs; ",
        "differs, ",
        "differs",
        "destroy, ",
        *(("in no manifest, ", "in no manifest; ") if change.place is None else ()),
    ):
        reason = reason.removeprefix(known)
    words = [verb.value if verb is not Action.NOOP else "unchanged", reason]
    if change.on_air:
        window = window_of(change)
        until = f" until {look.short(window.end, now)}" if window and window.end and window.end > now else ""
        words = [word.replace("ON AIR", f"ON AIR{until}", 1) if " until " not in word else word for word in words]
        if not any("ON AIR" in word for word in words):
            words.append(f"ON AIR{until}")
    if change.off_air:
        words.append(f"{length(change.off_air)} off air")
    return ", ".join(word for word in words if word)


def details(change: Change, look: Look) -> Iterator[str]:
    """The indented lines below a change."""
    if change.action is Action.NOOP and look.verbosity < 2:
        return
    fields = change.fields if look.verbosity > 0 or len(change.fields) <= FIELDS_SHOWN + 1 else change.fields[:FIELDS_SHOWN]
    label = max(_LABEL, *(width(_name(one)) + 2 for one in fields)) if fields else _LABEL
    rows: list[tuple[str, str]] = []
    window, covered = window_of(change), _covered(change)
    if change.action in (Action.CREATE, Action.ADOPT, Action.WAIT, Action.REPLACE) or look.verbosity > 0:
        if window:
            rows.append(("on air", look.span(window)))
        elif covered:
            rows.append(("covers", f"{look.span(covered)} ({length(_elapsed(covered))})"))
    yield from _rows(rows, label, look)
    kind = change.address.kind
    yield from _fields([_told(one, kind, look) for one in fields], label, look)
    if len(fields) < len(change.fields):
        yield f"{_INDENT}({len(change.fields) - len(fields)} more, -v shows them)"
    if look.verbosity > 0 and change.action is Action.CREATE and change.desired:
        yield from _tree(look.told(change.desired.values, kind, "spec"), look)
    rows = []
    if change.evidence is Evidence.LEDGER and change.fields:
        rows.append(("compared", "with what was last applied: the vendor does not tell"))
    rows += [("note", look.local(warning)) for warning in change.warnings]
    if change.needs:
        rows.append(("needs", look.local(str(change.needs))))
    if look.verbosity > 1:
        rows.append(("account", change.account))
        if change.observed and change.observed.id:
            rows.append(("vendor id", change.observed.id))
    yield from _rows(rows, label, look)
    if look.verbosity > 1 and (values := live_values(change)):
        yield f"{_INDENT}live"
        yield from _tree(look.told(values, kind, "spec"), look)


def _covered(change: Change) -> Window | None:
    """The span of a resource that says start and end itself, like a clip."""
    values = change.desired.values if change.desired else {}
    start, end = values.get("start"), values.get("end")
    return Window(start, end) if isinstance(start, datetime) and isinstance(end, datetime) else None


def _elapsed(window: Window) -> float:
    return (window.end - window.start).total_seconds() if window.end else 0.0


def _told(field: FieldChange, kind: str, look: Look) -> FieldChange:
    before, after = (look.told(value, kind, field.path) for value in (field.before, field.after))
    return FieldChange(field.path, before, after, replace=field.replace, evidence=field.evidence)


def _fields(fields: Sequence[FieldChange], label: int, look: Look) -> Iterator[str]:
    texts = []
    for one in fields:
        remark = _REPLACES if one.replace else ""
        room = None if look.width is None else max(24, look.width - len(_INDENT) - label - width(remark))
        texts.append((one, look.change(one, room), remark))
    widest = 38 if look.width is None else min(38, look.width - len(_INDENT) - label - len(_REPLACES))
    column = min(max((width(text) for _, text, _ in texts), default=0), widest)
    for one, text, remark in texts:
        line = f"{_INDENT}{pad(_name(one), label)}{pad(text, column) + remark if remark else text}"
        yield line.rstrip()
        if look.verbosity > 0 and isinstance(one.before, list) and isinstance(one.after, list):
            yield from (f"{_INDENT}  {line}" for line in inside(one, look))


def _name(field: FieldChange) -> str:
    return clean(field.path.removeprefix("spec."))


def _rows(rows: Iterable[tuple[str, str]], label: int, look: Look) -> Iterator[str]:
    """Labelled lines; on a terminal broken at spaces, never cut."""
    for name, text in rows:
        head = _INDENT + pad(name, label)
        yield from hanging(head, clean(text), look.width, indent=width(head))


def _tree(values: Mapping[str, Any], look: Look, *, prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _tree(value, look, prefix=f"{prefix}{clean(key)}.")
            continue
        line = f"{_INDENT}  {pad(prefix + clean(key), _LABEL + 10)}  {look.value(value)}"
        yield line if look.width is None else cut(line, look.width)


def inside(field: FieldChange, look: Look) -> list[str]:
    """What changed inside a list, item by item: items are matched by their likeness, not by their index."""
    from deepdiff import DeepDiff

    found = DeepDiff(
        _plain(field.before, look),
        _plain(field.after, look),
        ignore_order=True,
        verbose_level=2,
        cutoff_distance_for_pairs=0.8,
        cutoff_intersection_for_pairs=1,
    )
    lines = []
    for symbol, names in (
        ("-", ("iterable_item_removed", "dictionary_item_removed")),
        ("+", ("iterable_item_added", "dictionary_item_added")),
    ):
        lines += [f"{symbol} {_at(key)}  {look.value(value)}" for name in names for key, value in found.get(name, {}).items()]
    for name in ("values_changed", "type_changes"):
        for key, both in found.get(name, {}).items():
            lines.append(f"~ {_at(key)}  {look.value(both['old_value'])} -> {look.value(both['new_value'])}")
    return lines or ["~ the order of the items changed"]


def _plain(value: Any, look: Look) -> Any:
    """A tree of dicts, lists and scalars, which is all that deepdiff gets to see; secrets are what may be shown of them."""
    if isinstance(value, Mapping):
        return {clean(key): _plain(item, look) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, look) for item in value]
    if isinstance(value, Sealed):
        return f"{value.shown} [key {fingerprint(value)}]"
    return value if isinstance(value, bool | int | float | str) else look.value(value)


def _at(path: str) -> str:
    """deepdiff's `root[1]['width']` as `[1].width`."""
    return clean(path.removeprefix("root").replace("['", ".").replace("']", ""))


def _conflicts(conflicts: Sequence[Conflict], look: Look) -> list[str]:
    lines = []
    for one in conflicts:
        lines.append(f"  ! {one.type}: {clean(look.local(one.message))}")
        if one.window:
            lines.append(f"{_INDENT}{pad('at', _LABEL)}{look.span(one.window)}")
        lines += [f"{_INDENT}{pad('in', _LABEL)}{clean(place.file)}:{place.line}" for place in one.places]
    return lines


def _strangers(strangers: Iterable[Stranger], look: Look) -> list[str]:
    """Live objects in no manifest and in no ledger. A mark proves that one is ours; that none is found does not prove the opposite:
    marks are made of names, and a name that is lost with manifest and ledger cannot be told from somebody else's."""
    lines = []
    for one in strangers:
        owner = f"{'carries our mark, is ' if one.ours else ''}in no manifest and no ledger{'' if one.ours else ', left alone'}"
        when = f"  {look.span(one.window)}" if one.window else ""
        told = f"{clean(one.kind)} {clean(one.id)}  {look.value(one.title)}  {owner}{when}"
        lines += hanging("  = ", told, look.width, indent=4)
    return lines


def _notes(shown: Plan, look: Look) -> list[str]:
    """What the manifests and the guards have to say. A change's own warnings (RC700) stand beside it; here those of what stays as it is."""
    lines = []
    for change in shown.changes:
        if change.action is Action.NOOP:
            lines += [f"  ! {clean(change.address)}  {clean(look.local(warning))}" for warning in dict.fromkeys(change.warnings)]
    for one in shown.diagnostics:
        if one.rule != "RC700":
            place = f"{clean(one.place.file)}:{one.place.line}:{one.place.column}  " if one.place else ""
            lines.append(f"  ! {place}{one.severity.value}[{clean(one.rule)}]: {clean(look.local(one.message))}")
    return lines


# --- apply ------------------------------------------------------------------------------------------------------------

_DID = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted", "forget": "forgotten", "adopt": "adopted"}
_DID |= {"start": "started", "stop": "stopped"}
_WORD = {Outcome.DONE: "done", Outcome.FAILED: "failed", Outcome.UNKNOWN: "unknown", Outcome.NOT_STARTED: "not started"}


def apply_summary(
    shown: Plan,
    results: Sequence[Result],
    look: Look,
    *,
    interrupted: bool = False,
    seconds: float | None = None,
    run: str = "",
    verb: str = "Apply",
) -> list[str]:
    """What became of every change: one line when all is well, else done, failed, unknown and not started, and the command that helps.

    A destroy that leaves something is not well: each object that is left stands there with what it needs, and when it can go.
    """
    name = f"{verb} {short_id(run or shown.id)}"
    took = f" {seconds:.1f} s." if seconds is not None else ""
    left = [change for change in shown.changes if change.action is Action.WAIT] if verb == "Destroy" else []
    blocked = [change for change in shown.changes if change.action is Action.BLOCKED] + left
    groups = {outcome: [one for one in results if one.outcome is outcome] for outcome in Outcome}
    well = not interrupted and len(groups[Outcome.DONE]) == len(results)
    if well and not (blocked and verb == "Destroy"):
        counts: dict[str, int] = {}
        for result in results:
            word = _DID.get(result.change.action.value, result.change.action.value)
            counts[word] = counts.get(word, 0) + 1
        what = ", ".join(f"{number} {word}" for word, number in counts.items()) or "nothing to do"
        lines = look.lines(f"{name} complete: {what}.{took}{_left(shown.changes)}", "bold")
        return [*lines, *map(look.next, _next(results, blocked, verb.lower()))]
    came = "interrupted" if interrupted else f"leaves {counted(len(blocked), 'object')}" if well else "stopped"
    lines = [look.paint(f"{name} {came}:{took}", "bold")]
    for outcome in (Outcome.DONE, Outcome.FAILED, Outcome.UNKNOWN, Outcome.NOT_STARTED):
        lines += _group(outcome, groups[outcome], look)
    if blocked and verb == "Destroy":
        head = f"  {pad('left', 11)}  {len(blocked):<3} "
        for index, change in enumerate(blocked):
            why = look.local(str(change.needs or change.reason))
            lines.append(f"{' ' * width(head) if index else head}= {clean(change.address)}   ({clean(why)})")
    elif blocked:
        lines.append(f"  {pad('blocked', 11)}  {len(blocked):<3} {_names(change for change in blocked)}")
    return [*lines, *map(look.next, _next(results, blocked, verb.lower()) or ["reconciler plan"])]


def _group(outcome: Outcome, results: list[Result], look: Look) -> list[str]:
    if not results:
        return []
    head = f"  {pad(_WORD[outcome], 11)}  {len(results):<3} "
    color = {Outcome.FAILED: "red", Outcome.UNKNOWN: "red", Outcome.DONE: "green"}.get(outcome, "")
    if outcome is Outcome.NOT_STARTED and look.verbosity < 1:
        return [head + "(listed with -v)"]
    if outcome is Outcome.DONE:
        return [look.paint(head, color) + _names(one.change for one in results)]
    lines = []
    for index, one in enumerate(results):
        why = f"   ({clean(look.local(one.message))})" if one.message else ""
        lead = look.paint(head, color) if not index else " " * width(head)
        lines.append(f"{lead}{_symbol(one.change)} {clean(one.change.address)}{why}")
    return lines


def _names(changes: Iterable[Change], limit: int = 12) -> str:
    changes = list(changes)
    text = ", ".join(f"{_symbol(change)} {clean(change.address)}" for change in changes[:limit])
    return f"{text} and {len(changes) - limit} more" if len(changes) > limit else text


def _left(changes: Sequence[Change]) -> str:
    """What was wanted and not done: what is blocked, and what waits because it is on air."""
    blocked = [change for change in changes if change.action is Action.BLOCKED]
    waiting = [change for change in changes if change.action is Action.WAIT and change.on_air]
    are = "blocked change is left" if len(blocked) == 1 else "blocked changes are left"
    wait = "change waits for the end of its window" if len(waiting) == 1 else "changes wait for the end of their windows"
    return "".join(f" {len(some)} {text}: {_few(some)}." for some, text in ((blocked, are), (waiting, wait)) if some)


def _few(changes: Sequence[Change]) -> str:
    return ", ".join(clean(change.address) for change in changes[:5]) + (", ..." if len(changes) > 5 else "")


def _next(results: Sequence[Result], blocked: Sequence[Change], verb: str) -> list[str]:
    """The one command that helps most."""
    unknown = [one for one in results if one.outcome is Outcome.UNKNOWN]
    if unknown:
        return ["reconciler refresh " + " ".join(str(one.change.address) for one in unknown[:8])]
    for one in results:
        if one.outcome is Outcome.FAILED:
            return [one.next_step or "reconciler plan"]
    if any(one.outcome is Outcome.NOT_STARTED for one in results):
        return ["reconciler plan"]
    if not blocked or not blocked[0].needs or not blocked[0].needs.flags:
        return [way_out(change, verb) for change in blocked[:1]]
    return [guards.remedy((change.needs for change in blocked if change.needs and change.needs.flags), verb)]


def way_out(blocked: Change, verb: str = "apply") -> str:
    """The command for a blocked change: the field of the manifest to edit first, or what it needs of `verb`, or a closer look."""
    need = blocked.needs
    if need and need.field:
        return f"reconciler explain {blocked.address.kind}.{need.field}"
    return (need and guards.remedy([need], verb)) or f"reconciler get {blocked.address} -v"


def result_line(address: Address, action: str) -> str:
    """`~ RelayTask/sport-final`."""
    try:
        symbol = SYMBOL[Action(action)]
    except ValueError:
        symbol = "="
    return f"{symbol:>3} {clean(address)}"


def drift(shown: Plan, look: Look, *, seconds: float | None = None) -> list[str]:
    """Only what moved away outside of us."""
    checked = f"checked {look.instant(shown.generated_at)}"
    took = "" if seconds is None else f", {seconds:.1f} s"
    if not shown.drift:
        count = counted(len(shown.changes) + shown.unchanged, "resource")
        return look.lines(f"No drift. {count} as last applied ({checked}{took}).", "bold")
    lines = ["DRIFT", *_changes(shown.drift, shown, look), ""]
    lines += look.lines(f"{counted(len(shown.drift), 'resource')} drifted ({checked}{took}).", "bold")
    return [*lines, look.next("reconciler plan")]
