"""What the kinds' verbs are made of: each module lists a vendor's actions once, as Operations, and calls them to get Calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from reconciler.errors import NotFound, VendorError
from reconciler.frozen import frozen
from reconciler.model import Batch, Call, Reply, Steps


@frozen
class Operation:
    """One action of a vendor's API: `STOP = Operation("volcengine-live", "StopPullToPushTask", repeatable=True)`.

    Calling it gives the Call. `path` may hold {names}, filled from keyword arguments and percent-encoded. The other fields are Call's.
    """

    vendor: str
    action: str
    method: str = "POST"
    path: str = "/"
    pace: float = 10.0
    safe: bool = False
    repeatable: bool = False
    read: Callable[[Any], Any] | None = None

    def __call__(self, body: Any = None, *, query: Mapping[str, str | int] | None = None, **names: str) -> Call:
        return Call(
            vendor=self.vendor,
            action=self.action,
            method=self.method,
            path=self.path.format(**{name: quote(value, safe="") for name, value in names.items()}),
            query=query or {},
            body=body,
            safe=self.safe,
            repeatable=self.repeatable or self.safe,
            pace=self.pace,
            read=self.read,
        )


def together(calls: Sequence[Call]) -> Steps[list[Reply]]:
    """The replies to `calls`, sent side by side, in order; the first failure is raised. A single call travels alone."""
    if len(calls) == 1:
        reply: Reply = yield calls[0]
        return [reply]
    replies: list[Reply] = []
    if calls:
        for answer in (yield Batch(tuple(calls))):
            if isinstance(answer, VendorError):
                raise answer
            replies.append(answer)
    return replies


def present(calls: Sequence[Call]) -> Steps[list[Reply]]:
    """The replies to those of `calls` that find their object, in order; any failure but NotFound is raised."""
    replies: list[Reply] = []
    if calls:
        for answer in (yield Batch(tuple(calls))):
            if isinstance(answer, Reply):
                replies.append(answer)
            elif not isinstance(answer, NotFound):
                raise answer
    return replies


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` when it is a JSON object, else an empty one: a vendor's reply is never trusted to have a shape."""
    return value if type(value) is dict or isinstance(value, Mapping) else {}


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The JSON objects in `value`, when it is a list; absent and null are the empty list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
