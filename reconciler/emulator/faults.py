"""Scripted misfortune: which call is hit, when, and by what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

ANSWERS = ("500", "502", "504", "429", "403", "commonErr", "invalidTimestamp", "notJson", "html502")
SPOILED = ("reset", "timeout", "halfBody")


@dataclass(slots=True)
class FaultRule:
    """`action` is a name, a pattern (`GET /task/*`) or `*`. Before: the call has no effect. After: it took effect, then
    the answer is spoilt. `late:N` before means the call runs N seconds late, after means its answer comes late."""

    action: str
    fault: str
    when: str = "before"
    nth: int = 1
    every: bool = False
    seen: int = 0

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> FaultRule:
        """From JSON. ValueError tells what is wrong."""
        if not isinstance(raw, Mapping) or "fault" not in raw:
            raise ValueError('a fault is an object such as {"action": "*", "when": "before", "fault": "reset"}')
        rule = cls(
            action=str(raw.get("action", "*")),
            fault=str(raw["fault"]),
            when=str(raw.get("when", "before")),
            nth=int(raw.get("nth", 1)),
            every=bool(raw.get("every", False)),
        )
        if unknown := set(raw) - {"action", "fault", "when", "nth", "every"}:
            raise ValueError(f"fault: unknown key {sorted(unknown)[0]!r}")
        if rule.when not in ("before", "after"):
            raise ValueError(f"fault: when is before or after, not {rule.when!r}")
        if rule.nth < 1:
            raise ValueError("fault: nth counts from 1")
        if rule.fault not in ANSWERS + SPOILED and rule.delay is None:
            raise ValueError(f"fault {rule.fault!r} is not one of {', '.join(ANSWERS + SPOILED)}, late:<seconds>")
        return rule

    @property
    def delay(self) -> float | None:
        """Seconds, for `late:<seconds>`."""
        head, _, seconds = self.fault.partition(":")
        try:
            return float(seconds) if head == "late" and float(seconds) >= 0 else None
        except ValueError:
            return None

    def hits(self, action: str) -> bool:
        """Whether this call is the one. Counts it."""
        if self.action not in ("*", action) and not fnmatchcase(action, self.action.replace("[", "[[]")):
            return False
        self.seen += 1
        return self.seen >= self.nth if self.every else self.seen == self.nth

    @property
    def spent(self) -> bool:
        return not self.every and self.seen >= self.nth

    def as_dict(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "fault": self.fault,
            "when": self.when,
            "nth": self.nth,
            "every": self.every,
            "seen": self.seen,
        }


class FaultScript:
    """The rules in force. The first that hits a call decides; every rule counts the call."""

    def __init__(self) -> None:
        self.rules: list[FaultRule] = []

    def add(self, raw: Iterable[Mapping[str, Any]]) -> None:
        """All or nothing."""
        self.rules.extend([FaultRule.of(each) for each in raw])

    def clear(self) -> None:
        self.rules.clear()

    def strike(self, action: str) -> FaultRule | None:
        """The fault for this call, if any; spent rules leave the script."""
        struck = [rule for rule in self.rules if rule.hits(action)]
        self.rules = [rule for rule in self.rules if not rule.spent]
        return struck[0] if struck else None
