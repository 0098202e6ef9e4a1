"""Where keys come from: the places the vendors' own tools look at, in one fixed order.

A place that is there but incomplete or unreadable ends the search: the next one may hold the key of another account.
Environment and home folder are arguments; the values appear in no message, only the place that won.
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.errors import Denied
from reconciler.frozen import frozen
from reconciler.model import Secret


@frozen
class VolcengineKey:
    """`source` says which place won, for people: `environment VOLCENGINE_ACCESS_KEY`, `~/.volcengine/config.json, profile default`."""

    access_key: Secret
    secret_key: Secret
    session_token: Secret | None
    source: str


@frozen
class LivepeerKey:
    api_key: Secret
    source: str


def volcengine(env: Mapping[str, str], home: Path, *, profile: str = "") -> VolcengineKey:
    """The first complete key of: VOLCENGINE_* variables, VOLC_* variables, ~/.volcengine/config.json, ~/.volc/credentials, ~/.volc/config.

    `profile` (else VOLCENGINE_PROFILE, else the file's `current`, else `default`) picks a key inside the files. A profile other than
    `default` that was asked for by name must exist: ~/.volc/config, which has no profiles, is then left alone. Raises Denied,
    naming every place looked at.
    """
    search = _Search(env, home, profile or env.get("VOLCENGINE_PROFILE", "").strip())
    found = (
        search.variables("VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", "VOLCENGINE_SESSION_TOKEN")
        or search.variables("VOLC_ACCESSKEY", "VOLC_SECRETKEY", "")
        or search.cli_file()
        or search.sdk_file()
        or search.sdk_json()
    )
    if found:
        return found
    raise Denied(
        f"no Volcengine credentials; looked at {', '.join(search.looked_at)}; set VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY",
        code="NoCredentials",
        next_step="reconciler doctor",
    )


def livepeer(env: Mapping[str, str]) -> LivepeerKey:
    """LIVEPEER_API_KEY, else LIVEPEER_STUDIO_API_KEY. Raises Denied."""
    names = ("LIVEPEER_API_KEY", "LIVEPEER_STUDIO_API_KEY")
    for name in names:
        if value := env.get(name, "").strip():
            return LivepeerKey(_secret(value, name), f"environment {name}")
    raise Denied(
        f"no Livepeer API key; looked at environment {' and '.join(names)}; set LIVEPEER_API_KEY",
        code="NoCredentials",
        next_step="reconciler doctor",
    )


@dataclass(slots=True)
class _Search:
    env: Mapping[str, str]
    home: Path
    profile: str
    looked_at: list[str] = field(default_factory=list)

    def variables(self, access: str, secret: str, token: str) -> VolcengineKey | None:
        self.looked_at.append(f"environment {access}")
        values = [self.env.get(name, "") if name else "" for name in (access, secret, token)]
        return _key(values, (access, secret), f"environment {access}")

    def cli_file(self) -> VolcengineKey | None:
        named = self.env.get("VOLCENGINE_CLI_CONFIG_FILE", "").strip()
        path = Path(named) if named else self.home / ".volcengine" / "config.json"
        where = self._shown(path)
        document = self._json(path, where)
        if document is None:
            return None
        profiles = document.get("profiles")
        profiles = profiles if isinstance(profiles, Mapping) else {}
        wanted = self.profile or str(document.get("current") or "") or "default"
        chosen = profiles.get(wanted)
        if not isinstance(chosen, Mapping):
            if self._named_profile:
                raise _broken(f"{where} has no profile {wanted}; it has {', '.join(sorted(profiles)) or 'none'}")
            self.looked_at[-1] += f" (no profile {wanted})"
            return None
        if str(chosen.get("mode") or "AK").upper() != "AK":
            raise _broken(f"profile {wanted} of {where} has mode {chosen['mode']}; only AK (a static key) is supported")
        values = [chosen.get(name) for name in ("access-key", "secret-key", "session-token")]
        return _key(values, ("access-key", "secret-key"), f"{where}, profile {wanted}")

    def sdk_file(self) -> VolcengineKey | None:
        path = self.home / ".volc" / "credentials"
        where = self._shown(path)
        text = self._text(path, where)
        if text is None:
            return None
        parser = configparser.ConfigParser(interpolation=None, default_section="")
        try:
            parser.read_string(text)
        except configparser.Error:
            raise _broken(f"{where} is not an INI file") from None
        section = self.profile or "default"
        if not parser.has_section(section):
            self.looked_at[-1] += f" (no section {section})"
            return None
        names = ("access_key_id", "secret_access_key")
        return _key([*(parser.get(section, name, fallback="") for name in names), ""], names, f"{where}, section {section}")

    def sdk_json(self) -> VolcengineKey | None:
        if self._named_profile:
            return None
        path = self.home / ".volc" / "config"
        where = self._shown(path)
        document = self._json(path, where)
        return document and _key([document.get("ak"), document.get("sk"), ""], ("ak", "sk"), where)

    @property
    def _named_profile(self) -> bool:
        return self.profile not in ("", "default")

    def _json(self, path: Path, where: str) -> Any:
        text = self._text(path, where)
        if text is None:
            return None
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, Mapping):
            raise _broken(f"{where} is not a JSON object")
        return document

    def _text(self, path: Path, where: str) -> str | None:
        """The file's text, None when there is no such file."""
        self.looked_at.append(where)
        try:
            return path.read_text(encoding="utf-8-sig")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as cause:
            raise _broken(f"{where} cannot be read: {type(cause).__name__}") from None

    def _shown(self, path: Path) -> str:
        return f"~/{path.relative_to(self.home).as_posix()}" if path.is_relative_to(self.home) else str(path)


def _key(values: list[Any], names: tuple[str, ...], source: str) -> VolcengineKey | None:
    """None when neither half is set. Raises Denied when only one is: it names the half that is missing."""
    access, secret, token = (str(value or "").strip() for value in values)
    if not access and not secret:
        return None
    if not access or not secret:
        here, missing = names if access else reversed(names)
        raise _broken(f"{source} has {here} but no {missing}")
    return VolcengineKey(
        _secret(access, source),
        _secret(secret, source),
        _secret(token, source) if token else None,
        source,
    )


def _secret(text: str, source: str) -> Secret:
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise _broken(f"the key of {source} has characters that no key has; was it copied whole, without line breaks?")
    return Secret(text)


def _broken(problem: str) -> Denied:
    return Denied(f"credentials: {problem}", code="BadCredentials", next_step="reconciler doctor")
