"""Drives a kind's generator by hand: replies in, steps out. No clock, no network.

survey, steps = drive(KIND.observe(ask), [page(task)])
id, steps = drive(KIND.create(want), server)        # `server(call)` answers each call
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from reconciler.errors import VendorError
from reconciler.model import Batch, Call, Reply, Step, Steps

T = TypeVar("T")
Answer = Any
"""What a call gets: a Reply, a bare body (becomes a Reply), or an exception."""


class Unanswered(AssertionError):
    """The work made a call that the test has no reply for, or ended with replies left over."""


def drive(steps: Steps[T], replies: Iterable[Answer] | Callable[[Call], Answer] = (), *, limit: int = 500) -> tuple[T, list[Step]]:
    """The result, and every step yielded in order (the calls of a Batch one by one).

    `replies` is consumed one a call, or asked for each call. An exception is thrown into the work (inside a Batch it takes its place, as
    the courier does). An exception that the work does not catch comes out; it carries the steps so far as `error.steps`.
    """
    seen: list[Step] = []
    queue = None if callable(replies) else iter(replies)

    def answer(call: Call) -> Reply | BaseException:
        seen.append(call)
        if queue is None:
            found = replies(call)  # type: ignore[operator]
        else:
            try:
                found = next(queue)
            except StopIteration:
                raise Unanswered(f"no reply for {call.action} {call.query or ''} {call.body or ''}") from None
        return found if isinstance(found, BaseException) else call.heard(found if isinstance(found, Reply) else Reply(found))

    given: Any = None
    try:
        for _ in range(limit):
            step = steps.throw(given) if isinstance(given, BaseException) else steps.send(given)
            if isinstance(step, Batch):
                given = [answer(call) for call in step.calls]
                broken = next((one for one in given if isinstance(one, BaseException) and not isinstance(one, VendorError)), None)
                if broken:
                    raise broken
            elif isinstance(step, Call):
                given = answer(step)
            else:
                seen.append(step)
                given = None
    except StopIteration as done:
        left = [] if queue is None else list(queue)
        if left:
            raise Unanswered(f"{len(left)} replies were not asked for: {left}") from None
        return done.value, seen
    except VendorError as error:
        error.steps = seen  # type: ignore[attr-defined]
        raise
    raise Unanswered(f"still going after {limit} steps; the last was {seen[-1]}")


def calls(steps: Iterable[Step]) -> list[Call]:
    return [step for step in steps if isinstance(step, Call)]


def actions(steps: Iterable[Step]) -> list[str]:
    """The story of a run: action names, and the class names of `Created` and `Pause`."""
    return [step.action if isinstance(step, Call) else type(step).__name__ for step in steps]
