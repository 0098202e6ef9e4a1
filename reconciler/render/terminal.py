"""Streams that never raise for a character, the decision about colour, and the live block of an apply."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import TextIO

from reconciler.model import Address, Event
from reconciler.render.look import Look, length
from reconciler.render.safe import clean, cut
from reconciler.render.text import result_line


def tolerant(stream: TextIO, *, ascii_only: bool = False) -> TextIO:
    """The same stream, writing an escape for what its encoding lacks; with `ascii_only` for everything beyond ASCII."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        if ascii_only:
            reconfigure(encoding="ascii", errors="backslashreplace")
        else:
            reconfigure(errors="backslashreplace")
    return stream


def wants_color(choice: str, env: Mapping[str, str], *, terminal: bool) -> bool:
    """`always` and `never` decide; else NO_COLOR, FORCE_COLOR, a dumb terminal, and whether it is a terminal at all."""
    if choice != "auto":
        return choice == "always"
    if env.get("NO_COLOR"):
        return False
    if env.get("FORCE_COLOR") not in (None, "", "0") or env.get("CLICOLOR_FORCE") not in (None, "", "0"):
        return True
    return terminal and env.get("TERM") != "dumb"


_WORD = {"apply_start": "start", "apply_progress": "wait", "apply_complete": "done", "apply_errored": "failed", "apply_unknown": "unknown"}
_COLOR = {"apply_complete": "green", "apply_errored": "red", "apply_unknown": "red"}


class Progress:
    """Apply events for people: a line each; with `live`, a block of what is running stands below the finished lines."""

    def __init__(self, out: TextIO, look: Look, *, live: bool, total: int = 0, height: int = 24) -> None:
        self._out = out
        self._look = look
        self._live = live
        self._room = max(1, height - 4)
        self._total = total
        self._finished = 0
        self._failed = 0
        self._running: dict[Address, tuple[datetime, Event]] = {}
        self._drawn = 0
        self._said: dict[Address, str] = {}
        self._lock = threading.Lock()

    def event(self, event: Event) -> None:
        with self._lock:
            began = self._keep(event)
            if self._live:
                self._erase()
                if event.type not in ("apply_start", "apply_progress"):
                    self._out.write(self._line(event, began) + "\n")
                self._draw(event.at)
            elif self._worth_a_line(event):
                self._out.write(f"{event.at.astimezone(self._look.zone):%H:%M:%S} {self._line(event, began)}\n")
            self._out.flush()

    def close(self) -> None:
        """Takes the live block away."""
        with self._lock:
            self._erase()
            self._out.flush()

    def _keep(self, event: Event) -> datetime:
        if event.address is None:
            return event.at
        began = self._running.get(event.address, (event.at, event))[0]
        if event.type in ("apply_start", "apply_progress"):
            self._running[event.address] = (began, event)
        elif self._running.pop(event.address, None):
            self._finished += 1
            self._failed += event.type != "apply_complete"
        return began

    def _worth_a_line(self, event: Event) -> bool:
        """A wait that says nothing new since its last line is left out."""
        if event.type != "apply_progress" or event.address is None:
            return True
        told = f"{event.message} {int(event.progress * 4) if event.progress is not None else ''}"
        new = self._said.get(event.address) != told
        self._said[event.address] = told
        return new

    def _line(self, event: Event, began: datetime) -> str:
        word = self._look.paint(f"{_WORD.get(event.type, 'note'):<7}", _COLOR.get(event.type, ""))
        who = result_line(event.address, event.action) if event.address else ""
        parts = [f"{word} {who}".rstrip()]
        seconds = event.result.seconds if event.result else (event.at - began).total_seconds()
        if event.type != "apply_start" and event.address and seconds >= 0.05:
            parts.append(length(round(seconds, 1)))
        if event.progress is not None:
            parts.append(f"{event.progress:.0%}")
        if event.message:
            parts.append(clean(self._look.local(event.message)))
        request = event.result.request_id if event.result else ""
        if request and request not in event.message and (self._look.verbosity > 0 or event.type != "apply_complete"):
            parts.append(f"request {clean(request)}")
        return "  ".join(parts)

    def _erase(self) -> None:
        if self._drawn:
            self._out.write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0

    def _draw(self, now: datetime) -> None:
        lines = []
        for address, (began, event) in list(self._running.items())[: self._room]:
            note = "  ".join(clean(text) for text in (f"{event.progress:.0%}" if event.progress is not None else "", event.message) if text)
            took = length(round((now - began).total_seconds(), 1))
            lines.append(f"running {result_line(address, event.action)}  {took}  {note}".rstrip())
        if len(self._running) > self._room:
            lines.append(f"        and {len(self._running) - self._room} more")
        total = f"/{self._total}" if self._total else ""
        lines.append(f"[{self._finished}{total} done, {self._failed} failed]")
        cells = (self._look.width or 80) - 1
        self._out.write("".join(cut(line, cells) + "\n" for line in lines))
        self._drawn = len(lines)
