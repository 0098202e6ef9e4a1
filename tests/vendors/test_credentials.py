"""The search for keys: order, profiles, half a pair, broken files, and that no value ever shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import Denied
from reconciler.vendors import credentials

A, B = "AKone", "SKone-canary"


def cli_file(home: Path, document: Any) -> None:
    path = home / ".volcengine" / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))


def profile(name: str, **more: str) -> dict[str, str]:
    return {"name": name, "mode": "AK", "access-key": f"ak-{name}", "secret-key": f"sk-{name}-canary", "session-token": "", **more}


def sdk_file(home: Path, name: str, text: str) -> None:
    path = home / ".volc" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


EVERYWHERE = {
    "VOLCENGINE_ACCESS_KEY": "ak-env",
    "VOLCENGINE_SECRET_KEY": "sk-env",
    "VOLCENGINE_SESSION_TOKEN": "token-env",
    "VOLC_ACCESSKEY": "ak-old",
    "VOLC_SECRETKEY": "sk-old",
}


@pytest.fixture
def furnished(tmp_path: Path) -> Path:
    """A home in which every file has a key."""
    cli_file(tmp_path, {"profiles": {"default": profile("default"), "staging": profile("staging", **{"session-token": "tok"})}})
    sdk_file(
        tmp_path,
        "credentials",
        "[default]\naccess_key_id = ak-ini\nsecret_access_key = sk-ini\n[staging]\naccess_key_id = ak-ini2\nsecret_access_key = sk%ini2\n",
    )
    sdk_file(tmp_path, "config", '{"ak": "ak-json", "sk": "sk-json"}')
    return tmp_path


@pytest.mark.parametrize(
    ("without", "access", "source"),
    [
        ([], "ak-env", "environment VOLCENGINE_ACCESS_KEY"),
        (["VOLCENGINE"], "ak-old", "environment VOLC_ACCESSKEY"),
        (["VOLC"], "ak-default", "~/.volcengine/config.json, profile default"),
        (["VOLC", ".volcengine/config.json"], "ak-ini", "~/.volc/credentials, section default"),
        (["VOLC", ".volcengine/config.json", ".volc/credentials"], "ak-json", "~/.volc/config"),
    ],
)
def test_order(furnished: Path, without: list[str], access: str, source: str) -> None:
    env = {name: value for name, value in EVERYWHERE.items() if not any(name.startswith(part) for part in without)}
    for part in without:
        if "/" in part:
            (furnished / part).unlink()
    found = credentials.volcengine(env, furnished)
    assert (found.access_key.reveal(), found.source) == (access, source)
    assert (found.session_token.reveal() if found.session_token else "") == ("token-env" if access == "ak-env" else "")


@pytest.mark.parametrize(
    ("given", "env", "current", "access"),
    [
        ("staging", {"VOLCENGINE_PROFILE": "other"}, "other", "ak-staging"),
        ("", {"VOLCENGINE_PROFILE": "staging"}, "other", "ak-staging"),
        ("", {}, "staging", "ak-staging"),
        ("", {}, None, "ak-default"),
        ("", {}, "", "ak-default"),
        ("default", {"VOLCENGINE_PROFILE": "staging"}, "staging", "ak-default"),
    ],
    ids=["given", "variable", "current", "default", "empty current", "default by name"],
)
def test_profiles(tmp_path: Path, given: str, env: dict[str, str], current: str | None, access: str) -> None:
    document: dict[str, Any] = {"profiles": {name: profile(name) for name in ("default", "staging", "other")}}
    if current is not None:
        document["current"] = current
    cli_file(tmp_path, document)
    assert credentials.volcengine(env, tmp_path, profile=given).access_key.reveal() == access


def test_the_cli_file_can_be_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "ve.json"
    elsewhere.write_text(json.dumps({"profiles": {"default": profile("default")}}))
    found = credentials.volcengine({"VOLCENGINE_CLI_CONFIG_FILE": str(elsewhere)}, tmp_path / "home")
    assert found.source == f"{elsewhere}, profile default"


def test_mode_may_be_empty_and_a_token_is_taken(tmp_path: Path) -> None:
    cli_file(tmp_path, {"profiles": {"default": profile("default", mode="", **{"session-token": "tok"})}})
    found = credentials.volcengine({}, tmp_path)
    assert found.session_token is not None
    assert found.session_token.reveal() == "tok"


def test_a_named_profile_never_falls_through_to_a_file_without_profiles(furnished: Path) -> None:
    (furnished / ".volcengine" / "config.json").unlink()
    assert credentials.volcengine({}, furnished, profile="staging").secret_key.reveal() == "sk%ini2"
    (furnished / ".volc" / "credentials").unlink()
    with pytest.raises(Denied) as denied:
        credentials.volcengine({}, furnished, profile="staging")
    assert "~/.volc/config" not in denied.value.message.replace("~/.volcengine/config", "")


@pytest.mark.parametrize(
    ("env", "files", "says"),
    [
        ({"VOLCENGINE_ACCESS_KEY": A}, {}, "environment VOLCENGINE_ACCESS_KEY has VOLCENGINE_ACCESS_KEY but no VOLCENGINE_SECRET_KEY"),
        (
            {"VOLCENGINE_SECRET_KEY": B, "VOLC_ACCESSKEY": A, "VOLC_SECRETKEY": B},
            {},
            "has VOLCENGINE_SECRET_KEY but no VOLCENGINE_ACCESS_KEY",
        ),
        ({"VOLC_ACCESSKEY": A, "VOLC_SECRETKEY": "  "}, {}, "has VOLC_ACCESSKEY but no VOLC_SECRETKEY"),
        ({}, {"cli": {"profiles": {"default": {"access-key": A}}}}, "profile default has access-key but no secret-key"),
        ({}, {"credentials": f"[default]\nsecret_access_key = {B}"}, "section default has secret_access_key but no access_key_id"),
        ({}, {"config": json.dumps({"ak": A})}, "~/.volc/config has ak but no sk"),
        (
            {},
            {"cli": {"profiles": {"default": profile("default", mode="sso")}}},
            "profile default of ~/.volcengine/config.json has mode sso",
        ),
        (
            {"VOLCENGINE_PROFILE": "prod"},
            {"cli": {"profiles": {"a": {}, "b": {}}}},
            "~/.volcengine/config.json has no profile prod; it has a, b",
        ),
        ({}, {"cli": "{oops"}, "~/.volcengine/config.json is not a JSON object"),
        ({}, {"cli": "[1]"}, "~/.volcengine/config.json is not a JSON object"),
        ({}, {"credentials": "no section = here"}, "~/.volc/credentials is not an INI file"),
        ({}, {"config": "null"}, "~/.volc/config is not a JSON object"),
        ({"VOLCENGINE_ACCESS_KEY": A, "VOLCENGINE_SECRET_KEY": "SK\none-canary"}, {}, "characters that no key has"),
        ({"VOLCENGINE_ACCESS_KEY": A, "VOLCENGINE_SECRET_KEY": "SKône-canary"}, {}, "characters that no key has"),
    ],
)
def test_what_is_there_but_broken_ends_the_search(tmp_path: Path, env: dict[str, str], files: dict[str, Any], says: str) -> None:
    for name, content in files.items():
        if name == "cli":
            cli_file(tmp_path, content)
        else:
            sdk_file(tmp_path, name, content)
    with pytest.raises(Denied) as denied:
        credentials.volcengine(env, tmp_path)
    assert says in denied.value.message
    assert "canary" not in denied.value.message
    assert (denied.value.exit_code, denied.value.next_step) == (4, "reconciler doctor")


def test_nothing_anywhere_names_every_place(tmp_path: Path) -> None:
    cli_file(tmp_path, {"profiles": {}})
    sdk_file(tmp_path, "credentials", "[other]\n")
    with pytest.raises(Denied) as denied:
        credentials.volcengine({}, tmp_path)
    for place in (
        "VOLCENGINE_ACCESS_KEY",
        "VOLC_ACCESSKEY",
        "config.json (no profile default)",
        "~/.volc/credentials (no section default)",
        "~/.volc/config;",
    ):
        assert place in denied.value.message
    assert denied.value.exit_code == 4


def test_an_unreadable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / ".volc" / "config").mkdir(parents=True)
    with pytest.raises(Denied, match=r"~/\.volc/config cannot be read: IsADirectoryError"):
        credentials.volcengine({}, tmp_path)


def test_line_ends_of_a_shell_are_cut(tmp_path: Path) -> None:
    found = credentials.volcengine({"VOLC_ACCESSKEY": f" {A}\n", "VOLC_SECRETKEY": f"{B}\r\n"}, tmp_path)
    assert (found.access_key.reveal(), found.secret_key.reveal()) == (A, B)


def test_values_never_show(furnished: Path) -> None:
    found = credentials.volcengine({}, furnished)
    assert "canary" not in f"{found!r} {found} {found.source}"
    assert "lpkey" not in repr(credentials.livepeer({"LIVEPEER_API_KEY": "lpkey"}))


@pytest.mark.parametrize(
    ("env", "key", "source"),
    [
        ({"LIVEPEER_API_KEY": "one", "LIVEPEER_STUDIO_API_KEY": "two"}, "one", "environment LIVEPEER_API_KEY"),
        ({"LIVEPEER_API_KEY": " ", "LIVEPEER_STUDIO_API_KEY": "two"}, "two", "environment LIVEPEER_STUDIO_API_KEY"),
    ],
)
def test_livepeer(env: dict[str, str], key: str, source: str) -> None:
    found = credentials.livepeer(env)
    assert (found.api_key.reveal(), found.source) == (key, source)


def test_livepeer_missing() -> None:
    with pytest.raises(Denied, match="LIVEPEER_API_KEY and LIVEPEER_STUDIO_API_KEY") as denied:
        credentials.livepeer({})
    assert denied.value.exit_code == 4
