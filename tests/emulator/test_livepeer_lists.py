"""The lists of the emulated Livepeer Studio: paging, order, filters, links, and the lists that lose rows."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from .studio import NOW_MS, PLAYBACK_ID, SESSION, START, STREAM, Studio


def query(filters: Any, **more: str) -> str:
    pairs = {"filters": json.dumps(filters), **more}
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs.items())


def narrow(field: str, value: Any) -> str:
    return query([{"id": field, "value": value}])


@pytest.fixture(scope="module")
def library() -> Studio:
    """25 ready clips, `clip 0` (oldest) to `clip 24`, a second apart; even ones have a creator."""
    studio = Studio(throttle_in_flight="1000", clip_seconds="1", queue_seconds="0")
    for number in range(25):
        studio.clip(name=f"clip {number}", startTime=START + number)
        studio.wait(1)
    studio.wait(60)
    for asset in sorted(studio.get("/asset?limit=1000")[1], key=lambda each: each["createdAt"])[::2]:
        studio.send("PATCH", f"/asset/{asset['id']}", {"creatorId": "team_a"})
        studio.wait(1)
    return studio


def names(studio: Studio, query_text: str, path: str = "/asset") -> list[int]:
    status, rows = studio.get(f"{path}?{query_text}")
    assert status == 200, rows
    return [int(row["name"].split()[1]) for row in rows]


OLDEST_FIRST = "order=createdAt-false"
PAGES: dict[str, tuple[str, list[int]]] = {
    "twenty by default": (OLDEST_FIRST, list(range(20))),
    "a limit": (f"{OLDEST_FIRST}&limit=3", [0, 1, 2]),
    "a limit of nothing": (f"{OLDEST_FIRST}&limit=0", list(range(20))),
    "a negative limit": (f"{OLDEST_FIRST}&limit=-5", list(range(20))),
    "a limit in words": (f"{OLDEST_FIRST}&limit=all", list(range(20))),
    "a limit with a tail": (f"{OLDEST_FIRST}&limit=2.9x", [0, 1]),
    "a limit above the cap": (f"{OLDEST_FIRST}&limit=5000", list(range(25))),
    "a cursor is an offset": (f"{OLDEST_FIRST}&limit=3&cursor=skip20", [20, 21, 22]),
    "a cursor beyond the end": (f"{OLDEST_FIRST}&cursor=skip99", []),
    "a cursor of nonsense is compared with ids": (f"{OLDEST_FIRST}&cursor=zzz", []),
    "the cursor undefined": (f"{OLDEST_FIRST}&cursor=undefined", []),
    "descending": ("order=createdAt-true&limit=2", [24, 23]),
    "anything but true ascends": ("order=createdAt-down&limit=2", [0, 1]),
    "unknown fields are ignored": ("order=bogus-true,createdAt-true&limit=2", [24, 23]),
    "several fields: without a creator last": ("order=creatorId-false,createdAt-false&limit=15", [*range(0, 25, 2), 1, 3]),
    "text: without a creator last also when descending": (
        "order=creatorId-true,createdAt-false&limit=14",
        [*range(0, 25, 2), 1],
    ),
    "text is text": ("order=name-false&limit=4", [0, 1, 10, 11]),
    "last changed first by default": ("limit=2", [24, 22]),
    "parameters nobody knows": ("sourceType=url&all=true&allUsers=true&deleting=true&limit=1&order=createdAt-false", [0]),
}


@pytest.mark.parametrize(("text", "expected"), PAGES.values(), ids=PAGES.keys())
def test_pages_and_order(library: Studio, text: str, expected: list[int]) -> None:
    assert names(library, text) == expected


def test_no_field_left_to_order_by_means_by_id(library: Studio) -> None:
    _, rows = library.get("/asset?order=bogus-true&limit=1000")
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)


@pytest.mark.parametrize("cursor", ["skip", "skipabc", "skip-5"])
def test_an_offset_that_is_no_number_breaks_the_database(library: Studio, cursor: str) -> None:
    assert library.get(f"/asset?cursor={cursor}") == (500, {"errors": ["Internal server error: error"]})


EVEN = list(range(0, 25, 2))
FILTERS: dict[str, tuple[Any, list[int]]] = {
    "type": ([{"id": "sourceType", "value": "clip"}], list(range(25))),
    "another type": ([{"id": "sourceType", "value": "url"}], []),
    "stream and session": (
        [{"id": "sourcePlaybackId", "value": PLAYBACK_ID}, {"id": "sourceSessionId", "value": SESSION}],
        list(range(25)),
    ),
    "a creator, exactly": ([{"id": "creatorId", "value": "team_a"}], EVEN),
    "no part of a creator": ([{"id": "creatorId", "value": "team"}], []),
    "a part of a name": ([{"id": "name", "value": "IP 2"}], [2, 20, 21, 22, 23, 24]),
    "an underscore in a name is any character": ([{"id": "name", "value": "p_2"}], [2, 20, 21, 22, 23, 24]),
    "an escaped underscore is itself": ([{"id": "name", "value": "p\\_2"}], []),
    "a time": ([{"id": "createdAt", "value": NOW_MS}], [0]),
    "a time as text": ([{"id": "createdAt", "value": str(NOW_MS)}], [0]),
    "between times": ([{"id": "createdAt", "value": {"gt": NOW_MS, "lte": NOW_MS + 2_000}}], [1, 2]),
    "from a time on": ([{"id": "createdAt", "value": {"gte": NOW_MS + 23_000}}], [23, 24]),
    "before a time": ([{"id": "createdAt", "value": {"lt": NOW_MS + 1_000}}], [0]),
    "nothing equals null": ([{"id": "creatorId", "value": None}], []),
    "no filter": ([], list(range(25))),
}


@pytest.mark.parametrize(("filters", "expected"), FILTERS.values(), ids=FILTERS.keys())
def test_filters(library: Studio, filters: Any, expected: list[int]) -> None:
    assert names(library, query(filters, order="createdAt-false", limit="1000")) == expected


def test_a_percent_sign_has_to_be_encoded_twice(library: Studio) -> None:
    status, body = library.get("/asset?" + narrow("name", "100%"))
    assert (status, body) == (400, {"errors": ["error parsing filters: URIError: URI malformed"]})
    doubly = quote(quote(json.dumps([{"id": "name", "value": "p%2"}]), safe=""), safe="")
    assert names(library, f"filters={doubly}&order=createdAt-false") == [2, 12, 20, 21, 22, 23, 24]


MISTAKES: dict[str, tuple[str, int, str]] = {
    "an unknown field": (narrow("bogus", 1), 400, 'error parsing filters: Error: unknown field: "bogus"'),
    "no array": (query({"id": "name"}), 400, "error parsing filters: Error: must be an array"),
    "no value": (query([{"id": "name"}]), 400, 'error parsing filters: Error: missing filter value for id "name"'),
    "eq is broken": (narrow("createdAt", {"eq": 1}), 400, 'error parsing filters: Error: unknown comparison: "eq"'),
    "no JSON": ("filters=%5B", 400, "error parsing filters: SyntaxError: Unexpected end of JSON input"),
    "a word as time": (narrow("createdAt", "soon"), 500, "Internal server error: error"),
    "the users are not joined": (narrow("user.email", "x"), 500, "Internal server error: error"),
    "a bad escape in a shorthand": ("phase=%25zz", 500, "Internal server error: URIError"),
}


@pytest.mark.parametrize(("text", "status", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_in_filters(library: Studio, text: str, status: int, message: str) -> None:
    assert library.get(f"/asset?{text}") == (status, {"errors": [message]})


def test_a_task_has_no_phase_to_filter_by(library: Studio) -> None:
    assert library.get("/task?" + narrow("phase", "completed"))[0] == 400
    assert len(library.get("/task?limit=1000&" + narrow("type", "clip"))[1]) == 25
    some = library.get("/task?limit=1")[1][0]["outputAssetId"]
    assert [row["outputAssetId"] for row in library.get("/task?" + narrow("outputAssetId", some))[1]] == [some]


def test_shorthand_filters(library: Studio) -> None:
    assert len(names(library, "phase=ready&limit=1000")) == 25
    assert names(library, "phase=failed") == []
    playback_id = library.get("/asset?limit=1&order=createdAt-false")[1][0]["playbackId"]
    assert names(library, f"playbackId={playback_id}") == [0]


# -- Link and X-Total-Count --------------------------------------------------------------------------------------------


def link(studio: Studio) -> str | None:
    header = studio.last.headers.get("link")
    if header is None:
        return None
    assert header.startswith("<")
    assert header.endswith('>; rel="next"')
    return header[1 : header.index(">")]


def test_a_full_page_links_to_the_next_one_by_plain_http(library: Studio) -> None:
    library.get("/asset?limit=10&" + narrow("name", "clip 2"))
    assert link(library) is None
    library.get("/asset?limit=3&order=createdAt-false&" + narrow("name", "clip 2"))
    url = link(library)
    assert url is not None
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path) == ("http", "127.0.0.1:8080", "/api/asset")
    assert dict(parse_qsl(parts.query)) == {
        "limit": "3",
        "order": "createdAt-false",
        "filters": json.dumps([{"id": "name", "value": "clip 2"}]),
        "cursor": "skip3",
    }


def test_a_link_may_lead_to_an_empty_page(library: Studio) -> None:
    assert len(names(library, "limit=5&cursor=skip20")) == 5
    assert (link(library) or "").endswith("cursor=skip25")
    assert names(library, "limit=5&cursor=skip25") == []
    assert link(library) is None


def test_the_total_is_counted_over_all_pages_and_missing_on_an_empty_one(library: Studio) -> None:
    names(library, "limit=2&count=true")
    assert library.last.headers["x-total-count"] == "25"
    names(library, "limit=2")
    assert "x-total-count" not in library.last.headers
    names(library, "limit=2&count=1&cursor=skip99")
    assert "x-total-count" not in library.last.headers


def test_the_last_page_of_tasks_links_to_nowhere(library: Studio) -> None:
    _, rows = library.get("/task?limit=1000")
    assert len(rows) == 25
    assert (link(library) or "").endswith("cursor=undefined")
    assert library.get("/task?limit=1000&cursor=undefined") == (200, [])
    assert link(library) is None


def test_the_scheme_of_the_link_is_a_switch() -> None:
    studio = Studio("many-sessions", link_scheme="https")
    studio.get("/session?limit=2")
    assert (link(studio) or "").startswith("https://")


# -- lists of clips ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scattered() -> Studio:
    """One clip in each of the 25 sessions of `many-sessions` and 8 in the one that runs: 33, as in the recording."""
    studio = Studio("default", "many-sessions", throttle_in_flight="1000")
    for number in range(25):
        start = NOW_MS - 86_400_000 - (25 - number) * 7_200_000
        session = f"{number:08d}-0000-4000-8000-00000000aaaa"
        studio.clip(name=f"clip {number}", sessionId=session, startTime=start + 1_000, endTime=start + 9_000)
    for number in range(25, 33):
        studio.clip(name=f"clip {number}")
    studio.wait(60)
    return studio


def test_the_asset_list_has_them_all(scattered: Studio) -> None:
    assert sorted(names(scattered, "limit=1000&" + narrow("sourcePlaybackId", PLAYBACK_ID))) == list(range(33))


@pytest.mark.parametrize("stream", [STREAM, PLAYBACK_ID])
def test_the_clips_of_a_stream_come_from_its_twenty_latest_sessions(scattered: Studio, stream: str) -> None:
    seen = names(scattered, "limit=1000&order=createdAt-false", f"/stream/{stream}/clips")
    assert sorted(seen) == [*range(6, 25), *range(25, 33)]


def test_following_the_cursor_of_a_stream_loses_the_rest(scattered: Studio) -> None:
    path = f"/stream/{STREAM}/clips"
    first = names(scattered, "limit=20", path)
    assert (link(scattered) or "").endswith("cursor=skip20")
    second = names(scattered, "limit=20&cursor=skip20", path)
    assert (len(first), second) == (20, [])


def test_the_clips_of_a_session_page_well(scattered: Studio) -> None:
    path = f"/session/{SESSION}/clips"
    first = names(scattered, "limit=5&order=createdAt-false,id-false", path)
    second = names(scattered, "limit=5&order=createdAt-false,id-false&cursor=skip5", path)
    assert sorted(first + second) == list(range(25, 33))


def test_only_two_lists_of_clips_are_raw(scattered: Studio) -> None:
    for path, is_raw in {f"/stream/{STREAM}": True, f"/session/{SESSION}": True, f"/clip/{SESSION}": False}.items():
        route = path if path.startswith("/clip") else f"{path}/clips"
        status, rows = scattered.get(f"{route}?limit=1")
        assert status == 200
        row = rows[0]
        assert ({"objectStoreId", "files", "sourcePlaybackReady"} <= set(row)) is is_raw
        assert ({"playbackUrl", "downloadUrl"} <= set(row)) is not is_raw
        assert ("tracks" in row["videoSpec"]) is is_raw


def test_clips_of_anything(scattered: Studio) -> None:
    asset = scattered.get(f"/clip/{SESSION}?limit=1")[1][0]
    assert len(names(scattered, "limit=1000", f"/clip/{PLAYBACK_ID}")) == 27
    assert scattered.get(f"/clip/{asset['id']}") == (200, [])
    assert scattered.get(f"/clip/{asset['playbackId']}") == (200, [])
    assert scattered.get(f"/asset/{asset['id']}/clips") == (200, [])
    assert scattered.get(f"/clip/{SESSION}?" + narrow("name", "x"))[0] == 400  # fewer fields here


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/clip/nothing", "Content not found"),
        ("/stream/nothing/clips", "Stream not found"),
        ("/session/nothing/clips", "Session not found"),
        ("/asset/nothing/clips", "Asset not found"),
    ],
)
def test_clips_of_what_is_not_there(scattered: Studio, path: str, text: str) -> None:
    assert scattered.get(path) == (404, {"errors": [text]})


def test_the_clips_of_somebody_elses_stream_are_an_empty_list() -> None:
    assert Studio("corners").get("/stream/otheruserstream0/clips") == (200, [])


def test_sessions_filter_by_their_own_fields(scattered: Studio) -> None:
    long = narrow("sourceSegmentsDuration", {"gt": 3600})
    assert [row["id"] for row in scattered.get(f"/session?{long}")[1]] == [SESSION, "5f6fb785-dc1e-4f88-a057-de7818e7610a"]
    assert scattered.get("/session?" + narrow("record", False)) == (200, [])
    assert len(scattered.get("/session?limit=100&" + narrow("record", True))[1]) == 27
    status, body = scattered.get("/session?" + narrow("record", "true"))
    message = 'error parsing filters: Error: expected boolean value for field "record", got: "true"'
    assert (status, body) == (400, {"errors": [message]})
    assert len(scattered.get("/session?limit=100&" + narrow("user.email", "OWNER@"))[1]) == 27
