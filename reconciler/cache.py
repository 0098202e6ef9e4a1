"""YAML that was parsed and found sound, kept by the content of its file. Deleting it changes nothing but time.

An entry lies under a keyed digest: nobody who can merely put files into the project can make a manifest mean something else.
"""

from __future__ import annotations

import hashlib
import hmac
import marshal
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_FORMAT = f"2 {sys.implementation.cache_tag}".encode()  # marshal is Python's own, and each version's


@dataclass(slots=True)
class Cache:
    """`folder` is made when first needed (0700). `key` is a secret of the person, kept outside of the project."""

    folder: Path
    key: bytes
    used: set[str] = field(default_factory=set)

    def get(self, digest: bytes) -> Any:
        """The plain data kept under a digest; None when there is none that can be trusted."""
        name = self._name(digest)
        try:
            sealed = (self.folder / name).read_bytes()
        except OSError:
            return None
        seal, body = sealed[:32], sealed[32:]
        if not hmac.compare_digest(seal, self._seal(name, body)):
            return None
        self.used.add(name)
        return marshal.loads(body)  # noqa: S302  written by this very program for this very person

    def put(self, digest: bytes, data: Any) -> None:
        """Keeps plain data under a digest. A full or read-only disk is no failure: the next run reads the YAML again."""
        name = self._name(digest)
        body = marshal.dumps(data)
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
