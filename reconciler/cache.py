"""Documents that were read and found right, kept by the content of their file. Deleting it changes nothing but time.

An entry is JSON under a keyed digest: nobody who can merely put files into the project can make a manifest mean something else.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from reconciler.model import Address, Desired, Late, Lifecycle, OnAirChange, Place, Secret, Timing, Url, Window

_FORMAT = b"1"


@dataclass(slots=True)
class Cache:
    """`folder` is made when first needed (0700). `key` is a secret of the person, kept outside of the project."""

    folder: Path
    key: bytes
    used: set[str] = field(default_factory=set)

    def get(self, digest: bytes) -> list[Any] | None:
        """The rows kept under a digest; None when there are none that can be trusted."""
        name = self._name(digest)
        try:
            sealed = (self.folder / name).read_bytes()
        except OSError:
            return None
        seal, body = sealed[:32], sealed[32:]
        if not hmac.compare_digest(seal, self._seal(name, body)):
            return None
        self.used.add(name)
        rows: list[Any] = json.loads(body)
        return rows

    def put(self, digest: bytes, rows: Sequence[Any]) -> None:
        """Keeps rows under a digest. A full or read-only disk is no failure: the next run reads the YAML again."""
        name = self._name(digest)
        body = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(dir=self.folder, prefix=".draft-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(self._seal(name, body) + body)
                Path(draft).replace(self.folder / name)
            except OSError:
                Path(draft).unlink(missing_ok=True)
                raise
            self.used.add(name)

    def prune(self) -> None:
        """Removes what this run had no use for."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.name not in self.used and path.is_file():
                    path.unlink(missing_ok=True)

    def _name(self, digest: bytes) -> str:
        return hashlib.blake2b(_FORMAT + _code() + digest, digest_size=16).hexdigest()

    def _seal(self, name: str, body: bytes) -> bytes:
        return hmac.digest(self.key, name.encode() + body, "sha256")


def personal_key(env: Mapping[str, str]) -> bytes:
    """The key of whoever runs this, below XDG_CACHE_HOME or ~/.cache; drawn when first needed. Raises OSError where none can be kept."""
    home = env.get("XDG_CACHE_HOME", "")
    folder = (Path(home) if Path(home).is_absolute() else Path(env.get("HOME") or Path.home()) / ".cache") / "reconciler"
    path = folder / "key"
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=folder, prefix=".draft-")
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
        with suppress(FileExistsError):  # another run was faster
            path.hardlink_to(draft)
        Path(draft).unlink()
    key = path.read_bytes()
    if len(key) != 32 or path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} is no key that only its owner can read")
    return key


@cache
def _code() -> bytes:
    """A digest of the program itself: another version may read a manifest in another way."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        found = path.stat()
        digest.update(f"{path.name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.digest()


# --- documents <-> rows -----------------------------------------------------------------------------------------------


def frozen(want: Desired, index: int) -> list[Any]:
    """A document as JSON; what JSON does not know stands in a list of its own, with its path."""
    special: list[Any] = []
    values = _plain(want.values, [], special)
    timing, life = want.timing, want.lifecycle
    return [
        want.address.kind,
        want.address.name,
        values,
        special,
        [index, want.place.line, want.place.column],
        want.account,
        [*_times(timing.window), timing.horizon.total_seconds(), timing.lead.total_seconds(), timing.late] if timing else None,
        None
        if life == _NO_LIFE
        else [life.protect, life.on_air_change, life.restart_on_end, life.retain, life.timeout.total_seconds() if life.timeout else None],
        dict(want.labels),
        [list(address) for address in want.depends_on],
        want.renamed_from,
    ]


def thawed(row: list[Any], *, file: str, workspace: str, places: Any) -> Desired:
    kind, name, values, special, (_, line, column), account, times, life, labels, depends_on, renamed_from = row
    for path, form, text, *rest in special:
        here = values
        for step in path[:-1]:
            here = here[step]
        here[path[-1]] = _MADE[form](text, *rest)
    return Desired(
        address=Address(kind, name),
        values=values,
        place=Place(file, line, column),
        account=account,
        workspace=workspace,
        timing=_timing(*times) if times else None,
        lifecycle=_lifecycle(*life) if life else _NO_LIFE,
        labels=labels,
        depends_on=tuple(Address(*address) for address in depends_on),
        renamed_from=renamed_from,
        places=places,
    )


_NO_LIFE = Lifecycle()
_MADE: dict[str, Callable[..., Any]] = {
    "url": lambda text, reference: Url(text, reference=reference),
    "secret": lambda text, reference: Secret(text, reference=reference),
    "time": datetime.fromisoformat,
}


def _plain(value: Any, path: list[str | int], special: list[Any]) -> Any:
    if isinstance(value, Secret):
        special.append([path, "url" if isinstance(value, Url) else "secret", value.reveal() if value.known else None, value.reference])
        return None
    if isinstance(value, datetime):
        special.append([path, "time", value.isoformat()])
        return None
    if isinstance(value, dict):
        return {key: item if type(item) in _JSON else _plain(item, [*path, key], special) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [item if type(item) in _JSON else _plain(item, [*path, at], special) for at, item in enumerate(value)]
    return value


_JSON = frozenset({str, int, float, bool})


def _times(window: Window) -> Iterable[str | None]:
    return window.start.isoformat(), window.end.isoformat() if window.end else None


def _timing(start: str, end: str | None, horizon: float, lead: float, late: str) -> Timing:
    window = Window(datetime.fromisoformat(start), datetime.fromisoformat(end) if end else None)
    return Timing(window, timedelta(seconds=horizon), timedelta(seconds=lead), _LATE[late])


def _lifecycle(protect: bool, on_air: str, restart: bool, retain: bool, timeout: float | None) -> Lifecycle:
    return Lifecycle(protect, OnAirChange(on_air), restart, retain, None if timeout is None else timedelta(seconds=timeout))


_LATE = {late.value: late for late in Late}
