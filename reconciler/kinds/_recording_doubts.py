"""Doubts about a RecordingSession that is valid: what the vendor takes, and then ignores, cuts off or no longer shows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from datetime import timedelta

from reconciler.kinds._rtc import OBSERVABLE
from reconciler.model import Desired, Diagnostic, Place, Severity, Url, Values
from reconciler.scalars import duration_text

_VARIABLES = {"TaskId": 0, "RoomId": 0, "UserId": 1, "Type": 1, "StartTime": 13, "Duration": 6, "Random": 1}
"""The variables of a file's name, and how many characters each stands for at least."""
NAME_LIMIT = 128
_PICTURES = (".jpg", ".jpeg", ".png")
_CAPS = {"heAac": 128, "heAacV2": 64}


def doubts(want: Desired) -> Iterator[Diagnostic]:
    values = want.values
    yield from _size_doubts(want, values)
    yield from _encode_doubts(want, values)
    yield from _layout_doubts(want, values.get("layout", {}))
    yield from _length_doubts(want, values["control"], values["mode"])
    if values["control"]["frameInterpolation"] == "black" and values.get("layout", {}).get("mode") == "adaptive":
        message = "frameInterpolation has no effect in an adaptive layout"
        yield _warning(want, "RC262", "spec.control.frameInterpolation", message, help="remove it, or choose another layout.mode")
    yield from _file_doubts(want, values)


def _size_doubts(want: Desired, values: Values) -> Iterator[Diagnostic]:
    for path, block in (
        ("spec.encode.video", values["encode"]["video"]),
        ("spec.layout.canvas", values.get("layout", {}).get("canvas", {})),
    ):
        for side in ("width", "height"):
            if block.get(side, 0) > 1920:
                yield _warning(want, "RC250", f"{path}.{side}", f"a {side} of {block[side]} is above the documented limit of 1920 pixels")


def _encode_doubts(want: Desired, values: Values) -> Iterator[Diagnostic]:
    video, audio = values["encode"]["video"], values["encode"]["audio"]
    for name, default in (("codec", "h264"), ("gop", 4)):
        if video[name] != default:
            yield _warning(want, "RC252", f"spec.encode.video.{name}", f"{name} may not be settable in {values['mode']} mode")
    canvas = values.get("layout", {}).get("canvas")
    for side in ("width", "height"):
        path = f"spec.encode.video.{side}"
        if side in video and values["mode"] == "single":
            yield _warning(want, "RC252", path, f"{side} is ignored in single mode: the resolution follows the source", help="remove it")
        elif side in video and canvas and video[side] != canvas[side]:
            yield _warning(
                want,
                "RC252",
                path,
                f"{side} is ignored in a custom layout: the canvas's {canvas[side]} counts",
                help="set layout.canvas instead",
            )
    cap = _CAPS.get(audio["profile"])
    if cap and audio["bitrate"] > cap:
        yield _warning(want, "RC258", "spec.encode.audio.bitrate", f"{audio['profile']} is capped at {cap} kbps")


def _layout_doubts(want: Desired, layout: Values) -> Iterator[Diagnostic]:
    canvas = layout.get("canvas", {})
    yield from _picture_doubts(want, "spec.layout.canvas.backgroundImage", canvas.get("backgroundImage"))
    for place, region in enumerate(layout.get("regions", [])):
        path = f"spec.layout.regions.{place}"
        for start, side in (("x", "width"), ("y", "height")):
            if region[start] + region[side] > canvas[side]:
                yield _warning(
                    want,
                    "RC251",
                    f"{path}.{side}",
                    f"the region reaches {region[start] + region[side] - canvas[side]} pixels over the canvas's {side}",
                    help=f"{start} + {side} should be at most {canvas[side]}",
                )
        radius, most = region["cornerRadius"] * canvas["width"], min(region["width"], region["height"]) / 2
        if radius > most:
            message = f"corners of {radius:g} pixels are not rounded: half the shorter side of the region is {most:g}"
            yield _warning(
                want, "RC262", f"{path}.cornerRadius", message, help=f"write at most {int(most / canvas['width'] * 100) / 100:g}"
            )
        yield from _picture_doubts(want, f"{path}.alternateImage", region.get("alternateImage"))
    if layout.get("mainStream", {}).get("type") == "screen":
        yield _warning(want, "RC259", "spec.layout.mainStream.type", "a vertical layout may not take a screen as its main stream")


def _picture_doubts(want: Desired, path: str, url: Url | None) -> Iterator[Diagnostic]:
    file = url.shown.split("?", 1)[0].rpartition("/")[2] if url else ""
    suffix = re.search(r"\.[A-Za-z0-9]{2,5}$", file)
    if suffix and suffix[0].lower() not in _PICTURES:
        yield _warning(want, "RC256", path, f"the vendor may not read a {suffix[0]} picture", help="use JPG or PNG")


def _length_doubts(want: Desired, control: Values, mode: str) -> Iterator[Diagnostic]:
    silence, idle, longest = control.get("maxSilence"), control["maxIdle"], control["maxDuration"]
    if silence is not None and mode != "single":  # the vendor's page: "takes effect for single-stream recording only"
        message = "maxSilence has no effect in mode: mixed"
        yield _warning(want, "RC231", "spec.control.maxSilence", message, help="remove it, or write mode: single")
    elif silence is not None and silence >= idle:
        yield _warning(
            want,
            "RC253",
            "spec.control.maxSilence",
            f"maxSilence {duration_text(silence)} is not below maxIdle {duration_text(idle)}, so it never takes effect",
        )
    if not 0 < longest <= OBSERVABLE.total_seconds():
        length = f"may last {duration_text(longest)}" if longest else "has no maxDuration"
        yield _warning(
            want,
            "RC254",
            "spec.control.maxDuration",
            f"the session {length} and becomes unobservable 72 hours after its start",
            help="write maxDuration: 72h or less",
        )
    window = want.window
    if longest and window and window.end and window.end - window.start > timedelta(seconds=longest):
        yield _warning(
            want,
            "RC260",
            "spec.control.maxDuration",
            f"the vendor ends the session after {duration_text(longest)}, its window lasts {duration_text(window.end - window.start)}",
        )


def _file_doubts(want: Desired, values: Values) -> Iterator[Diagnostic]:
    files = values.get("files", {})
    known = {name.lower(): name for name in _VARIABLES}
    used = re.findall(r"\{([^{}]*)\}", files.get("pattern", ""))
    for name in used:
        if name.lower() not in known:
            near = difflib.get_close_matches(name.lower(), known, 1)
            hint = f"did you mean {{{known[near[0]]}}}?" if near else "the variables are " + " ".join(f"{{{one}}}" for one in _VARIABLES)
            yield _warning(want, "RC255", "spec.files.pattern", f"{{{name}}} is no variable and stays in the name as it is", help=hint)
    lengths = {name.lower(): least for name, least in _VARIABLES.items()} | {
        "taskid": len(values["taskId"]),
        "roomid": len(values["roomId"]),
    }
    shortest = re.sub(r"\{([^{}]*)\}", lambda found: "x" * lengths.get(found[1].lower(), len(found[0])), files.get("pattern", ""))
    if len(shortest) > NAME_LIMIT:
        message = f"the file's name has at least {len(shortest)} characters, the vendor cuts it after {NAME_LIMIT}"
        yield _warning(want, "RC263", "spec.files.pattern", message, help="shorten the pattern")
    if values["control"]["uploadWhileRecording"] and "duration" in map(str.lower, used):
        yield _warning(want, "RC261", "spec.files.pattern", "the Duration in the name of an HLS file is always 0 with uploadWhileRecording")
    if "prefix" in files and "vod" in values["storage"]:
        yield _warning(want, "RC257", "spec.files.prefix", "video on demand ignores the prefix", help="remove it")


def _warning(want: Desired, rule: str, path: str, message: str, *, help: str = "") -> Diagnostic:
    """A doubt about `spec.…` at `path`; its place is that of the nearest written value."""
    return Diagnostic(Severity.WARNING, rule, message, place=_place(want, path), address=str(want.address), path=path, help=help)


def _place(want: Desired, path: str) -> Place:
    while path:
        if path in want.places:
            return want.places[path]
        path = path.rpartition(".")[0]
    return want.place
