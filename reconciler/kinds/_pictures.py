"""Watermark pictures as data URLs: what is in one, and what the vendor would refuse about it. Pure; no image library."""

from __future__ import annotations

import base64
import binascii
import re

BYTES = range(100, 2 * 1024 * 1024 + 1)
SIDE = 1080
_IMAGE = re.compile(r"data:image/(png|jpg|jpeg);base64,([A-Za-z0-9+/=\s]+)")


def image_bytes(text: object) -> bytes | None:
    """The decoded bytes of an image data URL; None for anything else, a file's name for example."""
    found = _IMAGE.fullmatch(text) if isinstance(text, str) else None
    if not found:
        return None
    try:
        return base64.b64decode(re.sub(r"\s", "", found[2]), validate=True)
    except binascii.Error:
        return None


def image_fault(data_url: str) -> str:
    """What the vendor would refuse in an image data URL, or ""."""
    data = image_bytes(data_url)
    if data is None:
        return "is not a data URL like data:image/png;base64,..."
    if len(data) not in BYTES:
        return f"has {len(data)} bytes, the vendor accepts 100 bytes to 2 MB"
    size = _pixels(data)
    if size is None:
        return "is neither PNG nor JPEG"
    if max(size) > SIDE:
        return f"has {size[0]} x {size[1]} pixels, the vendor accepts at most {SIDE} x {SIDE}"
    return ""


def _pixels(data: bytes) -> tuple[int, int] | None:
    """Width and height from the header of a PNG or JPEG."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    at = 2
    while data.startswith(b"\xff\xd8") and at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        at += 1 if marker == 0xFF else 2 + length
    return None
