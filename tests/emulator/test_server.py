"""The emulator behind a real socket: broken connections, the Host check, the control API, and the command itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from click.testing import CliRunner

from reconciler.cli.emulator import emulator as command
from reconciler.emulator.core import Clock, World
from reconciler.emulator.server import is_local, listen, running, url_of
from tests.emulator.volc import NOON, NOW, Volc, listed, relay, world_at_noon

ROOT = Path(__file__).resolve().parents[2]


class Served:
    """A running server and clients for both of its doors."""

    def __init__(self, world: World, url: str) -> None:
        self.world, self.url = world, url
        self.http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def control(self, method: str, name: str, body: Any = None) -> Any:
        return self.http.request(method, f"/_emulator/{name}", json=body).json()


@pytest.fixture
def served() -> Iterator[Served]:
    world = world_at_noon()
    with running(world) as url:
        served = Served(world, url)
        yield served
        served.http.close()


def signed_for(served: Served, action: str, body: Any) -> tuple[str, bytes, dict[str, str]]:
    """Target, body and headers, signed for the server's own address."""
    extra = {"host": urlsplit(served.url).netloc}
    request = Volc(served.world).request(action, body, extra=extra)
    return f"/?{request.raw_query}", request.body, request.headers


def send(served: Served, action: str, body: Any, **options: Any) -> httpx.Response:
    target, content, headers = signed_for(served, action, body)
    return served.http.post(target, content=content, headers=headers, **options)


# -- faults ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("fault", "error"), [("reset", httpx.ReadError), ("halfBody", httpx.RemoteProtocolError)])
def test_connections_really_break(served: Served, fault: str, error: type[Exception], when: str) -> None:
    served.control("POST", "faults", [{"action": "CreatePullToPushTask", "when": when, "fault": fault}])
    with pytest.raises(error):
        send(served, "CreatePullToPushTask", relay())
    assert len(listed(Volc(served.world))) == (1 if when == "after" else 0)
    assert send(served, "CreatePullToPushTask", relay()).status_code == 200  # the next connection is fine


def test_a_reset_is_a_reset_and_not_a_polite_end(served: Served) -> None:
    served.control("POST", "faults", {"action": "*", "fault": "reset"})
    parts = urlsplit(served.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as bare:
        bare.sendall(f"POST /?Action=ListPullToPushTaskV2&Version=2023-01-01 HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                     "Content-Length: 0\r\n\r\n".encode())  # fmt: skip
        with pytest.raises(ConnectionResetError):
            bare.recv(1)


def test_a_timeout_holds_until_the_client_leaves(served: Served) -> None:
    served.control("POST", "faults", [{"action": "CreatePullToPushTask", "when": "after", "fault": "timeout"}])
    with pytest.raises(httpx.ReadTimeout):
        send(served, "CreatePullToPushTask", relay(), timeout=0.2)
    assert len(listed(Volc(served.world))) == 1


def test_a_late_call_takes_effect_after_its_client_gave_up(served: Served) -> None:
    served.control("POST", "faults", [{"action": "CreatePullToPushTask", "when": "before", "fault": "late:60"}])
    with pytest.raises(httpx.ReadTimeout):
        send(served, "CreatePullToPushTask", relay(), timeout=0.2)
    assert listed(Volc(served.world)) == []
    served.control("PUT", "clock", {"advance": 60})
    assert len(listed(Volc(served.world))) == 1


def test_a_late_answer_arrives(served: Served) -> None:
    served.control("POST", "faults", [{"action": "CreatePullToPushTask", "when": "before", "fault": "late:0.05"}])
    assert send(served, "CreatePullToPushTask", relay()).json()["Result"]["TaskId"]


def test_spoilt_bodies(served: Served) -> None:
    served.control("POST", "faults", [{"action": "*", "fault": "notJson"}, {"action": "*", "nth": 2, "fault": "html502"}])
    first = send(served, "ListPullToPushTaskV2", {})
    assert first.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        first.json()
    second = send(served, "ListPullToPushTaskV2", {})
    assert second.status_code == 502
    assert second.headers["content-type"] == "text/html"


def test_the_server_ends_while_a_call_is_held() -> None:
    world = world_at_noon()
    world.faults.add([{"action": "*", "fault": "timeout", "every": True}])
    with running(world) as url:
        parts = urlsplit(url)
        bare = socket.create_connection((parts.hostname, parts.port), timeout=10)
        bare.sendall(f"GET /?Action=A HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    bare.close()
    with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as http:
        http.get(url)


# -- HTTP --------------------------------------------------------------------------------------------------------------------


def test_answers_over_the_socket_are_the_core_s(served: Served) -> None:
    answer = send(served, "CreatePullToPushTask", relay())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["x-tt-logid"] == answer.json()["ResponseMetadata"]["RequestId"]
    assert answer.headers["date"] == "Thu, 01 Jan 2026 12:00:00 GMT"
    assert len(answer.headers.get_list("date")) == 1
    assert "server" not in answer.headers


def test_chunked_bodies_are_read(served: Served) -> None:
    target, body, headers = signed_for(served, "CreatePullToPushTask", relay())
    answer = served.http.post(target, content=iter([body[:10], body[10:]]), headers=headers)
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True), ("127.0.0.1:8099", True), ("localhost:1", True), ("LOCALHOST", True), ("[::1]:80", True), ("[::1]", True),
        ("", False), ("evil.example.com", False), ("127.0.0.1.evil.example", False), ("localhost.evil.example:80", False),
        ("127.0.0.2", False), ("0.0.0.0", False), ("localhost:80@evil.example", False),
    ],
)  # fmt: skip
def test_hosts(host: str, local: bool) -> None:
    assert is_local(host) is local


@pytest.mark.parametrize("path", ["/_emulator/state", "/?Action=ListPullToPushTaskV2&Version=2023-01-01", "/api/stream"])
def test_a_foreign_host_is_turned_away(served: Served, path: str) -> None:
    answer = served.http.get(path, headers={"host": "live.volcengineapi.com"})
    assert answer.status_code == 421
    assert list(served.world.log) == []


# -- control -------------------------------------------------------------------------------------------------------------------


def test_clock_over_control(served: Served) -> None:
    assert served.control("GET", "clock") == {"now": NOW * 1000, "frozen": True}
    assert served.control("PUT", "clock", {"now": "2026-06-01T00:00:00+08:00", "advance": 1.5})["now"] == 1780243201500
    assert served.control("PUT", "clock", {"frozen": False})["frozen"] is False
    assert served.control("PUT", "clock", {"now": NOON, "frozen": True}) == {"now": NOW * 1000, "frozen": True}


def test_switches_over_control(served: Served) -> None:
    listing = served.control("GET", "switches")
    assert listing["live.update_semantics"]["values"] == ["replace", "merge"]
    assert served.control("PUT", "switches", {"live.update_semantics": "merge"})["live.update_semantics"] == "merge"
    assert "live.nothing" in served.control("PUT", "switches", {"live.nothing": "1"})["error"]


def test_fixtures_seed_state_reset(served: Served) -> None:
    served.control("PUT", "fixtures", {"live": {"tasks": [relay(Title="foreign", TaskId="f" * 32)]}})
    served.control("POST", "seed", {"name": "demo"})
    state = served.control("GET", "state")
    assert {each["body"]["Title"] for each in state["live"]["tasks"]} == {"foreign", "morningnews", "eveningloop", "madebyhand"}
    assert "running" not in state
    assert state["live"]["tasks"][0]["status"] == "生效中"
    served.control("POST", "reset")
    assert served.control("GET", "state")["live"]["tasks"] == []
    assert served.control("GET", "ledger") == []


def test_keys_over_fixtures(served: Served) -> None:
    served.control("PUT", "fixtures", {"keys": {"volcengine": {"AKNEW": {"secret": "new", "account": "7"}, "AKLTEMULATOR": None}}})
    Volc(served.world, key="AKNEW", secret="new").must("ListPullToPushTaskV2")
    old = Volc(served.world)
    old.call("ListPullToPushTaskV2")
    assert old.code == "InvalidAccessKey"


def test_log_and_faults_and_ledger_over_control(served: Served) -> None:
    assert served.control("POST", "faults", [{"action": "X*", "fault": "500"}])[0]["action"] == "X*"
    assert served.control("DELETE", "faults") == []
    send(served, "CreatePullToPushTask", relay())
    (call,) = served.control("GET", "log")
    assert (call["action"], call["status"], call["vendor"], call["duplicate"]) == ("CreatePullToPushTask", 200, "live", False)
    (event,) = served.control("GET", "ledger")
    assert (event["seq"], event["identity"], event["live_count"]) == (1, "live/2100000001/default/task001", 1)
    served.control("DELETE", "log")
    assert served.control("GET", "log") == []
    assert served.control("GET", "health")["ok"] is True


@pytest.mark.parametrize(
    ("method", "name", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("PUT", "clock", {"now": "noon"}, 400),
        ("PUT", "clock", {"when": 1}, 400),
        ("PUT", "clock", None, 400),
        ("POST", "faults", [{"fault": "explode"}], 400),
        ("POST", "seed", {"name": "x"}, 400),
        ("POST", "seed", {}, 400),
        ("PUT", "fixtures", {"nobody": {}}, 400),
        ("PUT", "switches", [1], 400),
    ],
)
def test_control_mistakes(served: Served, method: str, name: str, body: Any, status: int) -> None:
    answer = served.http.request(method, f"/_emulator/{name}", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_control_that_is_not_json(served: Served) -> None:
    assert served.http.put("/_emulator/clock", content=b"{").status_code == 400


# -- the command ---------------------------------------------------------------------------------------------------------------


class Process:
    """`reconciler emulator` as a process of its own."""

    def __init__(self, *options: str, port: str = "0") -> None:
        code = "from reconciler.cli.emulator import emulator; emulator(prog_name='reconciler emulator')"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "--port", port, *options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": ""},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def get(self, name: str) -> Any:
        with httpx.Client(trust_env=False) as http:
            return http.get(f"{self.url}/_emulator/{name}").json()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_prints_its_address_first_and_ends_on_signals(number: int) -> None:
    process = Process("--seed", "demo", "--clock", NOON, "--switch", "rtc.drain=5")
    assert process.url.startswith("http://127.0.0.1:")
    assert int(process.url.rpartition(":")[2]) > 0
    assert len(process.get("state")["live"]["tasks"]) == 3
    assert 0 <= process.get("clock")["now"] - NOW * 1000 < 60_000
    assert process.get("switches")["rtc.drain"]["value"] == "5"
    assert process.end(number) == (0, "")


def test_command_keeps_its_data(tmp_path: Path) -> None:
    file = str(tmp_path / "data.json")
    first = Process("--data", file, "--seed", "demo")
    assert first.end() == (0, "")
    second = Process("--data", file, "--seed", "demo")
    assert len(second.get("state")["live"]["tasks"]) == 3  # not seeded twice
    assert second.end() == (0, "")


def test_broken_connections_leave_no_noise() -> None:
    process = Process()
    with httpx.Client(trust_env=False, timeout=0.3) as http:
        for fault in ("reset", "halfBody", "timeout", "late:0.01", "html502"):
            http.post(f"{process.url}/_emulator/faults", json={"action": "*", "when": "after", "fault": fault})
            with suppress(httpx.HTTPError):
                http.get(f"{process.url}/?Action=A")
    assert process.end() == (0, "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "loopback only"),
        (["--host", "192.168.1.1"], "loopback only"),
        (["--switch", "live.update_semantics"], "NAME=VALUE"),
        (["--switch", "live.update_semantics=x"], "replace, merge"),
        (["--switch", "live.unknown=x"], "not known"),
        (["--seed", "nothing"], "not known"),
        (["--clock", "noon"], "noon"),
        (["--access-key", "AK"], "go together"),
        (["--port", "70000"], "70000"),
    ],
)
def test_command_mistakes(options: list[str], message: str) -> None:
    result = CliRunner().invoke(command, options)
    assert result.exit_code == 2
    assert message in result.output


def test_command_on_a_taken_port() -> None:
    bare = listen()
    try:
        result = CliRunner().invoke(command, ["--port", url_of(bare).rpartition(":")[2]])
    finally:
        bare.close()
    assert result.exit_code == 1
    assert "try --port 0" in result.output


def test_help_is_a_small_lesson() -> None:
    text = CliRunner().invoke(command, ["--help"], terminal_width=100).output
    for word in ("reconciler emulator --port 8099 --seed demo", "emulator-secret", "_emulator/faults", "_emulator/switches"):
        assert word in text


def test_help_needs_no_server() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom reconciler.cli.emulator import emulator\n"
        "CliRunner().invoke(emulator, ['--help'])\n"
        "print([m for m in ('uvicorn', 'starlette', 'httpx', 'pydantic', 'ruamel.yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_core_needs_no_http_library() -> None:
    code = (
        "import sys\nfrom reconciler.emulator.front import Emulator\nfrom reconciler.emulator.core import World, Request\n"
        "Emulator(World()).handle(Request.of('POST', '/?Action=StartRecord&Version=2023-11-01'))\n"
        "print([m for m in ('uvicorn', 'starlette', 'httpx', 'pydantic', 'reconciler.kinds', 'reconciler.vendors') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_running_saves_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "data.json"
    with running(World(clock=Clock.frozen_at(NOON), data_file=file)) as url, httpx.Client(trust_env=False) as http:
        http.put(f"{url}/_emulator/switches", json={"live.float32": "off"})
    assert json.loads(file.read_text(encoding="utf-8"))["switches"]["live.float32"] == "off"
