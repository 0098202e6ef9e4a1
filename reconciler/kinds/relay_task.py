"""RelayTask: a Volcengine Live pull-to-push task. It pulls a stream or a play list and pushes it to one destination between two instants.

The vendor begins and ends it by itself. Tasks have no labels and cannot be read by id: the whole account is listed, and ours are told
by a fingerprint in the title. Vendor pages: CreatePullToPushTask, UpdatePullToPushTask, ListPullToPushTaskV2 (API version 2023-01-01).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from reconciler import scalars, wire
from reconciler.errors import NotFound, OutcomeUnknown, Rejected, Throttled, VendorError
from reconciler.kinds._calls import Operation, mapping
from reconciler.kinds._ingest import Ingest
from reconciler.kinds._pictures import image_fault
from reconciler.kinds._relay_list import NOT_SERVED, VENDOR, Found, Search, Task, listed_tasks, seen_by, twice_listed
from reconciler.kinds._relay_spec import RULES, RelaySpec, claim, derived_title, joined, title_of, with_defaults
from reconciler.model import (
    Call,
    Created,
    Desired,
    Diagnostic,
    Kind,
    Lookup,
    Observed,
    Presence,
    Reply,
    Scheduling,
    Severity,
    Stage,
    Steps,
    Stranger,
    Survey,
    Url,
    Values,
)

__all__ = ["KIND", "RULES"]

CREATE = Operation(VENDOR, "CreatePullToPushTask")  # no idempotency token: sent twice it makes two tasks
UPDATE = Operation(VENDOR, "UpdatePullToPushTask", repeatable=True)
DELETE = Operation(VENDOR, "DeletePullToPushTask", repeatable=True)
STOP = Operation(VENDOR, "StopPullToPushTask", repeatable=True)
CONTINUE = Operation(VENDOR, "ContinuePullToPushTask", repeatable=True)
RESTART = Operation(VENDOR, "RestartPullToPushTask", repeatable=True)  # what Continue was called until 2025
LONGEST = timedelta(days=7)


def _span(want: Desired) -> tuple[datetime, datetime]:
    assert want.window is not None
    assert want.window.end is not None, "vet() refuses a relay without an end"
    return want.window.start, want.window.end


def _wrong(want: Desired, rule: str, message: str, path: str, help: str = "") -> Diagnostic:
    return Diagnostic(Severity.ERROR, rule, message, address=str(want.address), path=path, help=help)


class RelayTask(Kind):
    """A live stream or play list, pulled and pushed to one destination between two instants, by the vendor's own schedule."""

    name = "RelayTask"
    vendor = VENDOR
    spec = RelaySpec
    scheduling = Scheduling.VENDOR
    schedule = "required"
    summary = "relay a live stream or a play list to one destination (Volcengine Live pull-to-push)"
    naming = ("spec.title", "spec.group")
    images = ("watermark.image",)

    def canonical(self, spec: RelaySpec, *, name: str) -> Values:
        values = wire.canonical(spec)
        values["source"] = with_defaults(values["source"])
        return values

    def identity(self, want: Desired) -> str:
        """`group/title`, as it stands in the vendor's list."""
        return f"{want.values['group']}/{title_of(want)}"

    def claims(self, want: Desired) -> tuple[str, ...]:
        return (claim(want.values["destination"]),)

    def joined(self, want: Desired, at: datetime) -> Desired:
        return joined(want, at)

    def vet(self, want: Desired) -> Iterator[Diagnostic]:
        yield from self.vet_window(want)
        image = mapping(want.values.get("watermark")).get("image")
        if isinstance(image, str) and image.startswith("data:"):
            fault_in_image = image_fault(image)
            if fault_in_image:
                yield _wrong(want, "RC120", f"watermark image {fault_in_image}", "spec.watermark.image")

    def vet_window(self, want: Desired) -> Iterator[Diagnostic]:
        def end() -> str:  # asked only when something is wrong: looking for a place reads the file again
            return next((path for path in ("schedule.duration", "schedule.until") if path in want.places), "schedule.end")

        window = want.window
        if window is None or window.end is None:
            yield _wrong(want, "RC100", "a relay needs an end", "schedule", "add end, duration or until")
            return
        if window.end <= window.start:
            yield _wrong(want, "RC100", "a relay must end after it starts", end())
        if window.end - window.start > LONGEST:
            long = scalars.duration_text(window.end - window.start)
            yield _wrong(want, "RC101", f"the relay lasts {long}, the vendor's limit is 7 days", end(), "shorten it, or let it repeat")
        if scalars.unix_seconds(window.end) >= 2**31:
            yield _wrong(want, "RC102", "the relay ends after 2038-01-19, which the vendor cannot write down", end())
        if window.start.microsecond or window.end.microsecond:
            yield _wrong(want, "RC103", "relay times are whole seconds", "schedule.start" if window.start.microsecond else end())

    def replaces(self, path: str, want: Desired, live: Observed) -> bool:
        if path.startswith("spec.source"):
            theirs, ours = mapping(live.values.get("source")), mapping(want.values.get("source"))
            return ("files" in theirs) != ("files" in ours) and bool(theirs.keys() & {"files", "url"})
        if path.startswith("spec.watermark"):
            return "watermark" not in want.values  # there is no documented way to take one away
        return wire.shape(RelaySpec).marked("replace", path)

    def interrupts(self, path: str) -> bool:
        return path != "schedule.end" and not wire.shape(RelaySpec).marked("harmless", path)

    # what is done

    def observe(self, ask: Sequence[Lookup]) -> Steps[Survey]:
        tasks = yield from listed_tasks()
        search = Search(ask, tasks)
        found = search.run()
        if len(found) < len(ask):
            search = Search(ask, (yield from twice_listed(tasks)))
            found = search.run()
        answers = [_observed(lookup, found.get(at)) for at, lookup in enumerate(ask)]
        if not search.free:
            return Survey(answers)
        shown = {  # a destination whose path is a secret is named alike wherever it turns up
            Ingest.of(url.reveal()).key: claim(lookup.want.values["destination"])
            for lookup in ask
            if lookup.want and isinstance(url := lookup.want.values["destination"].get("url"), Url) and url.known
        }
        strangers = [_stranger(task, shown, ours=search.owner(task) is not None) for task in search.free.values()]
        return Survey(answers, strangers)

    def create(self, want: Desired) -> Steps[str]:
        start, end = _span(want)
        reply: Reply = yield CREATE(
            {
                **wire.encode(RelaySpec, want.values),
                "Title": title_of(want),
                "StartTime": scalars.unix_seconds(start),
                "EndTime": scalars.unix_seconds(end),
            }
        )
        told = mapping(reply.body).get("TaskId")
        id = str(told) if isinstance(told, str | int) and told else ""
        if not id:
            raise OutcomeUnknown(
                f"{CREATE.action} answered without a TaskId",
                action=CREATE.action,
                request_id=reply.request_id,
                next_step=f"reconciler refresh {want.address}",
            )
        yield Created(id)
        if not want.values.get("enabled", True):
            yield from _stop(id, want.values["group"])
        return id

    def update(self, want: Desired, live: Observed, fields: Sequence[str]) -> Steps[None]:
        """Every field is sent, cleared ones as "": whether the vendor reads an omission as "keep" or as "clear" is not documented."""
        if set(fields) != {"spec.enabled"}:
            start, end = _span(want)
            if live.window and "schedule.start" not in fields:
                start = live.window.start  # what has begun has begun
            desired = self.joined(want, start)
            yield UPDATE(
                {
                    "DstAddr": "",  # else a push URL set earlier would win over domain, app and stream
                    "CallbackURL": "",
                    **wire.encode(RelaySpec, desired.values),
                    "TaskId": live.id,
                    "Title": title_of(want),
                    "StartTime": scalars.unix_seconds(start),
                    "EndTime": scalars.unix_seconds(end),
                }
            )
            if "callbackUrl" in live.values and "callbackUrl" not in want.values:
                yield from _cleared(live.id)
        if "spec.enabled" in fields:
            yield from self.start(want, live) if want.values.get("enabled", True) else self.stop(live)

    def delete(self, live: Observed) -> Steps[None]:
        group = live.values.get("group")
        gone = partial(_unless_so, DELETE(_names(live.id, group)), live.id, lambda task: task is None)
        try:
            yield from gone()
        except Rejected as refused:
            if isinstance(refused, Throttled) or live.stage is not Stage.ON_AIR:
                raise
            yield from _stop(live.id, group)  # whether what is on air may be deleted is not documented
            yield from gone()

    def stop(self, live: Observed) -> Steps[None]:
        yield from _stop(live.id, live.values.get("group"))

    def start(self, want: Desired, live: Observed) -> Steps[None]:
        names = _names(live.id, live.values.get("group", want.values["group"]))
        runs: Callable[[Task | None], bool] = lambda task: task is not None and task.stage in (Stage.WAITING, Stage.ON_AIR)  # noqa: E731
        try:
            yield from _unless_so(CONTINUE(names), live.id, runs)
        except VendorError as error:
            if error.code != NOT_SERVED:
                raise
            yield from _unless_so(RESTART(names), live.id, runs)


def _cleared(id: str) -> Steps[None]:
    """Whether an empty text clears a callback is not documented: reads back, so that nobody tries it again and again."""
    tasks = yield from listed_tasks()
    if any(task.id == id and "callbackUrl" in task.values for task in tasks):
        raise Rejected(
            f"the vendor keeps the old callbackUrl of task {id}, an update cannot clear it; "
            "write another one, or give the manifest a new metadata.name to have the task made anew",
            code="NotCleared",
            action=UPDATE.action,
            next_step="reconciler explain RelayTask.spec.callbackUrl",
        )


def _names(id: str, group: Any) -> dict[str, str]:
    """The body of Delete, Stop and Continue; sub-accounts must name the group."""
    return {"TaskId": id, "GroupName": group} if isinstance(group, str) else {"TaskId": id}


def _stop(id: str, group: Any) -> Steps[None]:
    yield from _unless_so(STOP(_names(id, group)), id, lambda task: task is None or task.stage in (Stage.STOPPED, Stage.ENDED))


def _unless_so(call: Call, id: str, so: Callable[[Task | None], bool]) -> Steps[None]:
    """Sends `call`. The vendor has no code of its own for "no such task" or "already so": after a refusal the list decides."""
    try:
        yield call
    except Throttled:
        raise
    except Rejected as refused:
        if refused.code == NOT_SERVED:
            raise
        if isinstance(refused, NotFound) and so(None):
            return
        tasks = yield from listed_tasks()
        if not so(next((task for task in tasks if task.id == id), None)):
            raise refused from None


def _observed(lookup: Lookup, found: Found | None) -> Observed:
    if found is None:
        return Observed(lookup.address, Presence.ABSENT)
    task, want = found.task, lookup.want
    if want and task.window:
        want = joined(want, task.window.start)
    unread: set[str] = set()
    if want and task.is_as_sent(want):
        values = want.values
    else:
        declared = want.values if want else mapping(lookup.entry.applied) if lookup.entry else {}
        values, unread = seen_by(declared, task)
        if "title" not in declared and task.title == derived_title(lookup.workspace, lookup.address, lookup.incarnation):
            values.pop("title", None)  # nobody wrote it: it is our mark
        if lookup.entry and "watermark" in mapping(lookup.entry.applied) and "watermark" not in values:
            unread.add("watermark")  # there is no documented way to take ours away: the list does not tell it
    warnings = () if task.window else ("the vendor's list tells no time for it",)
    return Observed(
        lookup.address,
        task.presence,
        id=task.id,
        values=values,
        unread=frozenset(unread),
        window=task.window,
        stage=task.stage,
        match=found.match,
        also=tuple(other.id for other in found.others),
        same_body=bool(found.others) and all(other.window == task.window and other.values == task.values for other in found.others),
        detail="" if task.stage is not Stage.NONE else f"its status {task.status!r} is not one we know",
        started=task.window.start if task.window and task.stage is Stage.ON_AIR else None,
        warnings=warnings,
    )


def _stranger(task: Task, shown: Mapping[str, str], *, ours: bool) -> Stranger:
    url = mapping(task.values.get("destination")).get("url")
    key = Ingest.of(url.reveal()).key if isinstance(url, Url) else ""
    return Stranger(
        RelayTask.name,
        task.id,
        task.title,
        window=task.window,
        stage=task.stage,
        claims=(shown.get(key, key),) if key else (),
        ours=ours,
        values=task.values,
    )


KIND = RelayTask()
