"""The mark by which we find an object of ours again without its id: computed, never stored, so that a lost ledger loses nothing."""

from __future__ import annotations

import hmac
from base64 import b32encode
from functools import lru_cache

from reconciler.model import Address

LENGTH = 8


@lru_cache(maxsize=65536)
def fingerprint(workspace: str, address: Address, incarnation: int) -> str:
    """8 characters of `a-z2-7`, the same for ever for one (workspace, address, incarnation)."""
    key = b"broadcast.reconciler/v1 " + workspace.encode()
    digest = hmac.digest(key, f"{address} {incarnation}".encode(), "sha256")
    return b32encode(digest)[:LENGTH].decode().lower()
