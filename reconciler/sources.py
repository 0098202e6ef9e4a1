"""Files as the project sees them: read only when regular and inside it, named relative to it, with a place for every path in them."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from reconciler import yamltree
from reconciler.mistakes import Mistake, Steps
from reconciler.model import Desired, Diagnostic, Place, Severity, mask_url
from reconciler.writtenout import hidden
from reconciler.yamltree import Mark, Marks

STDIN = "<stdin>"
SECRET_LIMIT = 1024 * 1024

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Refused(Exception):
    """A file that will not be read; the text says why, file name left out."""


def read(path: Path, *, root: Path, limit: int) -> bytes:
    """The bytes of a regular file that, all links followed, lies below `root`, and has at most `limit` bytes. Raises Refused."""
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(root.resolve()):
            raise Refused("leads out of the project folder")
        handle = os.open(real, _FLAGS)
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise Refused("is no regular file")
            if found.st_size > limit:
                raise Refused(f"has {found.st_size} bytes, the limit is {limit}")
            data = b"".join(iter(lambda: os.read(handle, limit + 1), b""))
        finally:
            os.close(handle)
    except (OSError, RuntimeError, ValueError) as wrong:
        raise Refused(f"cannot be read: {getattr(wrong, 'strerror', None) or wrong}") from None
    if len(data) > limit:
        raise Refused(f"has more than {limit} bytes")
    return data


class Source:
    """One YAML file. It keeps the digest and not the text, unless the text came by standard input and cannot be read again."""

    __slots__ = ("_kept", "digest", "name", "path", "root")

    def __init__(self, name: str, data: bytes, *, path: Path | None = None, root: Path | None = None) -> None:
        self.name = name
        self.path = path
        self.root = root
        self.digest = hashlib.blake2b(data, digest_size=16).digest()
        self._kept = data if path is None else None

    def text(self) -> bytes:
        """The text as it was when first read; nothing when the file has changed or gone since."""
        if self._kept is not None:
            return self._kept
        assert self.path is not None
        assert self.root is not None
        try:
            data = read(self.path, root=self.root, limit=yamltree.LIMIT)
        except Refused:
            return b""
        return data if hashlib.blake2b(data, digest_size=16).digest() == self.digest else b""

    def place(self, index: int, path: Steps | str, *, at_key: bool = False) -> Place:
        """Where `path` stands in document `index`. For a path that is not there, the key of the nearest block around it."""
        marks = self.paths(index)
        steps = path.split(".") if isinstance(path, str) else [str(step) for step in path]
        found = marks.get(".".join(steps))
        if found:
            return self.at(found.key or found.value if at_key else found.value)
        for depth in range(len(steps) - 1, -1, -1):
            if around := marks.get(".".join(steps[:depth])):
                return self.at(around.key or around.value)
        return Place(self.name)

    def paths(self, index: int) -> dict[str, Marks]:
        """Every path of document `index`, and where it stands."""
        documents = _marks(self)
        return documents[index] if index < len(documents) else {}

    def at(self, mark: Mark) -> Place:
        return Place(self.name, *mark)

    def diagnostic(self, mistake: Mistake, index: int, *, address: str = "") -> Diagnostic:
        return Diagnostic(
            mistake.severity,
            mistake.rule,
            mistake.message,
            place=self.place(index, mistake.path, at_key=mistake.at_key),
            address=address,
            path=yamltree.dotted(mistake.path),
            help=mistake.help,
        )

    def refusal(self, problem: yamltree.Problem) -> Diagnostic:
        related = tuple((self.at(mark), text) for mark, text in problem.related)
        return Diagnostic(Severity.ERROR, problem.rule, problem.message, place=self.at(problem.mark), help=problem.help, related=related)


@lru_cache(maxsize=4)
def _marks(source: Source) -> list[dict[str, Marks]]:
    return yamltree.marks(source.text())


# --- showing a line ---------------------------------------------------------------------------------------------------

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]+")
_SECRET_FIELD = re.compile(r"((?:key|secret|token|password)[\"']?\s*:\s*)(?![{\[&*|>])(\"[^\"]*\"?|'[^']*'?|[^\s,}][^,}]*)", re.IGNORECASE)
_BREAK = re.compile(r"\r\n|\r|\n")


def line_of(place: Place, root: Path, *, text: bytes | None = None) -> str | None:
    """The line of a file that a place points into, for showing: secrets in URLs and beside names like `secretKey:` are hidden.

    None when the file is not there any more. `text` gives the content of standard input.
    """
    if text is None:
        try:
            text = read(root / place.file, root=root, limit=yamltree.LIMIT)
        except Refused:
            return None
    lines = _BREAK.split(text.decode(errors="replace"))
    if not 1 <= place.line <= len(lines):
        return None
    shown = _URL.sub(lambda found: hidden(mask_url(found[0])), lines[place.line - 1])
    return _SECRET_FIELD.sub(r"\1***", shown)


class Places(Mapping[str, Place]):
    """Manifest path -> place, for one document. The file is read again only when somebody asks."""

    __slots__ = ("_source", "index")

    def __init__(self, source: Source, index: int) -> None:
        self._source = source
        self.index = index

    def nearest(self, path: Steps | str, *, at_key: bool = False) -> Place:
        """The place of `path`, or of the nearest block around it."""
        return self._source.place(self.index, path, at_key=at_key)

    def __getitem__(self, path: str) -> Place:
        if path not in self._source.paths(self.index):
            raise KeyError(path)
        return self.nearest(path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._source.paths(self.index))

    def __len__(self) -> int:
        return len(self._source.paths(self.index))

    def __bool__(self) -> bool:
        return True


def nearest(want: Desired, path: Steps | str) -> Place:
    """The place of a path in the manifest that declares `want`, as near as it is known."""
    return want.places.nearest(path) if isinstance(want.places, Places) else want.place
