"""The register of rules: what each code in a diagnostic means, and what to do. `explain` reads it; kinds bring their own.

RC001-009 YAML, RC010-029 fields and references, RC030-037 schedules, RC040-049 addresses, RC050-059 reconciler.yaml, RC060-069 after
references are resolved; from RC100 on the kinds; RC700-709 what a plan warns of.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from reconciler.frozen import frozen
from reconciler.model import Diagnostic, Kind


@frozen
class Rule:
    """`title` is a phrase, `explanation` says what the rule protects, `help` what to write instead."""

    code: str
    title: str
    explanation: str
    help: str = ""
    kind: str = ""

    @property
    def advice(self) -> str:
        """The help, else the explanation, as it stands behind `= help:`."""
        text = self.help or self.explanation
        plain = text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
        return plain.removesuffix(".")


class Kinds(Protocol):
    """Where kinds are found by name."""

    def get(self, name: str) -> Kind | None: ...

    def names(self) -> list[str]: ...


def find(code: str, kinds: Iterable[Kind]) -> Rule | None:
    """The rule of a code, written in any case."""
    return every(kinds).get(code.upper())


def every(kinds: Iterable[Kind]) -> dict[str, Rule]:
    """All rules by code: ours, then those of each kind's module."""
    found = {code: Rule(code, *texts) for code, texts in RULES.items()}
    for kind in kinds:
        for code, (title, explanation, *help) in getattr(sys.modules[type(kind).__module__], "RULES", {}).items():
            found[code] = Rule(code, title, explanation, " ".join(help), kind.name)
    return dict(sorted(found.items()))


def helped(found: Iterable[Diagnostic], kinds: Kinds | None = None) -> list[Diagnostic]:
    """Diagnostics, each with a help: where none was written for the case, what the register says of its rule."""
    told = list(found)
    if all(one.help for one in told):
        return told
    register = every(kind for name in kinds.names() if (kind := kinds.get(name))) if kinds else every(())
    return [one if one.help or one.rule not in register else replace(one, help=register[one.rule].advice) for one in told]


def is_code(text: str) -> bool:
    return re.fullmatch(r"[Rr][Cc]\d{3}", text) is not None


RULES: dict[str, tuple[str, str, str]] = {
    # YAML
    "RC001": (
        "file cannot be read",
        "A manifest is a regular file inside the project folder, links followed. What cannot be read is an error and never skipped: "
        "a manifest left out silently would look like a wish to delete.",
        "Check the path, the permissions and where a link leads.",
    ),
    "RC002": (
        "file is not plain UTF-8 text",
        "A file has at most 1 MiB, is UTF-8 without a byte order mark, and holds no control characters or invisible line separators.",
        "Save it as UTF-8 without a byte order mark; split what is too large.",
    ),
    "RC003": (
        "file is not YAML",
        "The text cannot be parsed from this place on; reading goes on with the next document of the file, behind `---`.",
        "Mend this place first.",
    ),
    "RC004": (
        "key written twice",
        "YAML forbids a key twice in one block, and loaders that accept it drop one of the two values.",
        "Keep one of the two.",
    ),
    "RC005": (
        "YAML feature that is not accepted",
        "Tags other than the core ones, merge keys (`<<`) and directives other than %YAML 1.2 hide what a manifest says.",
        "Write plain values; share text with ${var:NAME}.",
    ),
    "RC006": (
        "key is not text",
        "A key such as 12 or true is a number or a boolean in YAML, and every key here is text.",
        "Put it in quotes.",
    ),
    "RC007": (
        "alias that cannot be followed",
        "An alias needs its anchor above it in its document, cannot contain itself, and the aliases of a file add 10,000 nodes at most.",
        "Write the values out.",
    ),
    "RC008": ("nested too deep", "Blocks and lists stand at most 32 one inside another.", "Flatten it."),
    "RC009": (
        "number that cannot be kept",
        "Infinity, not-a-number and numbers of more than 24 characters are refused.",
        "Put text in quotes.",
    ),
    # fields
    "RC010": (
        "unknown field",
        "A key that no rule knows is an error, so that a typing mistake is never a silent default.",
        "See `reconciler explain KIND`.",
    ),
    "RC011": ("missing field", "A field without a default is not there.", "Add it."),
    "RC012": (
        "wrong type",
        "YAML 1.2 decides what a value is: 12 is a number, true a boolean, and yes, no, on, off and 08:30 are text.",
        "Add or remove quotes, or write a block or a list where one belongs.",
    ),
    "RC013": ("unknown word", "The field takes one of a few words; the vendor's integers are not accepted.", "Write one of the words."),
    "RC014": ("out of range", "The value is below or above what the vendor accepts.", "See `reconciler explain KIND.path` for the range."),
    "RC015": ("wrong form", "The text does not have the form that the field needs.", "See `reconciler explain KIND.path`."),
    "RC016": (
        "not a manifest",
        "A document begins with `apiVersion: broadcast.reconciler/v1` and a kind.",
        "Add them, or keep this file out of `manifests`.",
    ),
    "RC017": ("unknown kind", "No kind has this name.", "See `reconciler explain` for the kinds."),
    "RC018": (
        "bad name",
        "metadata.name is 1 to 63 of a-z, 0-9 and -, begins and ends with a letter or digit.",
        "Rename it; use renamedFrom if it is live.",
    ),
    "RC019": ("field without a value", "An empty value is neither a default nor a removal.", "Give it a value, or remove the key."),
    "RC020": ("invalid value", "The value breaks a rule that its message tells.", ""),
    "RC021": (
        "length of time",
        "A length of time is a whole number of seconds, or a text such as 90s, 20m, 2h30m, 1d with its units from large to small.",
        "Write a number of seconds, or a length like 90s, 20m, 2h30m, 1d.",
    ),
    "RC022": (
        "instant",
        "An instant is a date-time with an offset, or Unix milliseconds. Unix seconds are refused by name, not guessed.",
        "Write it like 2026-12-01T08:00:00+08:00.",
    ),
    "RC023": (
        "secret written out",
        "A manifest lives in version control, so a secret stands in it only as a reference. In a field for secrets a text is an error; "
        "validate warns of a URL that holds a password before its host, a value named like one (key, token, sign) in its query, or, "
        "pushed to, what looks like a stream key at the end of its path.",
        "Write {fromEnv: NAME} or {fromFile: path}, in the path and query of a URL ${env:NAME}. If it was committed, change the secret.",
    ),
    "RC024": (
        "${env:NAME} where it does not belong",
        "Environment variables are for secrets: they may stand in secret fields, and in the path and query of a URL.",
        "Use ${var:NAME} for what is no secret.",
    ),
    "RC025": (
        "unknown variable",
        "Variables are declared in reconciler.yaml, for all or for one environment, and put in once.",
        "Declare it under variables.",
    ),
    "RC026": ("unknown reference", "Only ${var:NAME} and ${env:NAME} refer to something.", "Mend the spelling."),
    "RC027": (
        "environment variable not open to manifests",
        "secrets.allowEnv and --allow-env each restrict which variables manifests may read; a variable must pass both. "
        "The vendors' credentials are open to none, unless --allow-env names them: reconciler.yaml is part of the change itself.",
        "Add it to secrets.allowEnv in reconciler.yaml, or to --allow-env where that was given.",
    ),
    "RC028": ("environment variable not set", "The manifest refers to a variable that is not set, or is empty.", "Export it."),
    "RC029": (
        "referred file cannot be used",
        "Files that manifests refer to lie in the project folder, are regular and have a limited size.",
        "Check the path.",
    ),
    # schedule
    "RC030": ("schedule where none belongs, or none where one is needed", "A RelayTask needs a schedule, a Clip has none.", ""),
    "RC031": (
        "date-time in a schedule",
        "A time has an offset, or the block names a zone and the time is local. A time with neither would be a guess.",
        "Write 2026-12-01T08:00:00+08:00, or add zone: Asia/Shanghai.",
    ),
    "RC032": ("end of a window", "A window ends by exactly one of duration, end and until.", "Keep one."),
    "RC033": ("window that is empty", "A window ends after it starts.", "Mend the times."),
    "RC034": ("unknown time zone", "Zones have IANA names, written exactly; there is no fallback to UTC.", "Write it like Europe/London."),
    "RC035": (
        "local time that does not exist",
        "When clocks go forward an hour is left out. dst.gap says what a time in it means: forward keeps the old offset, "
        "skip drops the window, fail refuses it.",
        "Choose another time or policy.",
    ),
    "RC036": (
        "recurrence is not supported yet",
        "repeat, except, move and fold: both need a series; a schedule has one window today.",
        "Write one manifest a window.",
    ),
    "RC037": ("horizon", "Objects are created at most 90 days ahead.", "Write 1s to 90d."),
    # addresses and what refers to them
    "RC040": ("address declared twice", "Kind and name together are unique in a workspace.", "Rename one."),
    "RC041": (
        "renamedFrom",
        "renamedFrom is the earlier name of this object, so that a rename is no delete; nothing else may carry that name.",
        "Remove one.",
    ),
    "RC042": ("dependsOn", "dependsOn lists addresses, Kind/name, that are declared.", "Mend the address."),
    "RC043": ("circle of dependencies", "Objects that depend on each other can never be made in order.", "Remove one of the dependencies."),
    "RC044": (
        "two on one destination",
        "Two objects hold one exclusive thing at one time: an error. A gap below 5 s, or one ingest behind two URL schemes: a warning.",
        "Move a window, or choose another destination.",
    ),
    "RC045": (
        "objects that could not be told apart",
        "The vendor knows them by the same names at one time: sessions by appId, roomId and taskId, relays by group and title.",
        "Change a name or a window.",
    ),
    "RC046": (
        "unknown account",
        "metadata.account names an account of reconciler.yaml; `default` is always there.",
        "Add it under accounts.",
    ),
    "RC047": (
        "label",
        "A label has a name of letters, digits, - _ . and /, at most 128, and a text of at most 1000 characters.",
        "Mend it.",
    ),
    # reconciler.yaml
    "RC051": ("endpoint", "Endpoints are https; http is for loopback only.", "Write https://host."),
    "RC052": ("maxDelete", "maxDelete is a share of what is owned (30%) or a number of objects.", ""),
    "RC053": (
        "state",
        "state is the path of a file, or postgresql://user@host/database without a password.",
        "Set PGPASSWORD for the password.",
    ),
    "RC054": (
        "manifests",
        "manifests lists folders, files or patterns below the project folder.",
        "Write relative paths with / and without .. in them.",
    ),
    # after resolution
    "RC060": (
        "value that holds a reference",
        "What comes from the environment is taken as it is and never expanded again.",
        "Write the value out.",
    ),
    # what a plan warns of
    "RC700": (
        "warning about a change",
        "The plan can be carried out, but what it would do to this object deserves a look.",
        "Read the change's reason.",
    ),
    "RC701": (
        "a guard will stop apply",
        "The plan is shown in full, but apply would stop before the first write, because a person must decide.",
        "Do what the message names, or change less.",
    ),
    "RC702": (
        "clocks that disagree",
        "Windows are judged by this machine's clock and kept by the vendor's. Where they differ by more than a minute, something may be "
        "stopped too early, or be taken for ended too early.",
        "Set this machine's clock (sudo timedatectl set-ntp true); reconciler doctor compares them.",
    ),
}
