"""What a plan and an apply look like to people."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import Action, Address, Change, FieldChange, Need, Outcome, Place, Result, Sealed, Window
from reconciler.render import text
from reconciler.render.look import Look, brief, length
from reconciler.render.safe import width
from tests.render.samples import HOSTILE, LOOK, SECRETS, at, blocked, change, plan

AT_200 = """\
37 resources in 14 files; live: volcengine-live 22, volcengine-rtc 10, livepeer 6   (2.4 s)

BLOCKED
-/+ RelayTask/cup-final  manifests/cup.yaml:40   replace, ON AIR until 23:30, 5 s off air
      source           live -> files                           # forces replacement
      destination.url  rtmp://***@push.example.com/live/one?key=***&expire=***  [key 7f3a -> 91c2]
      needs            --allow-on-air RelayTask/cup-final, or apply after 2026-11-20 Fri 23:30 +08:00

DRIFT
  ~ RelayTask/drifter  update, changed outside of us
      schedule.end  2026-11-20 Fri 23:59 -> 23:30 +08:00  (-29 min)

CONFLICTS
  ! foreign: RelayTask/cup-final would push to rtmp://push.example.com/live/one while RelayTask 别人, which is not ours, does
      at            2026-11-20 Fri 20:00 - 21:00 +08:00
      in            manifests/cup.yaml:40

CHANGES
  - RelayTask/old-loop     (in no manifest, owned by workspace "sports")   delete, not begun
  ~ RelayTask/sport-final  manifests/sport.yaml:3   update, ON AIR until 23:30
      schedule.end              2026-11-20 Fri 23:30 -> 23:59 +08:00  (+29 min)
      storage.custom.secretKey  [key aaaa -> bbbb]
      layout.regions            1 item -> 2 items
      title                     "旧的 标题" -> (none)
  + Clip/goal-78           manifests/clips.yaml:9   create, new
      covers        2026-11-20 Fri 21:14 - 21:14:30 +08:00 (30 s)

WAITING
  = RelayTask/new-year  manifests/ny.yaml:1   create, beyond the horizon, made from 2026-12-18 Fri 08:00 on

ORPHANS
  = RelayTask t-77  orphan  carries our mark, is in no manifest and no ledger

NOTES
  ! RelayTask/tardy  the vendor is late
  ! warning[RC701]: apply will stop: it would delete 9 of the 20 objects

Plan 5c1e9a: 1 to create, 1 to update, 1 to replace, 1 to delete, 32 unchanged. 1 blocked. 1 waiting. 1 drifted. Valid until 23:30 +08:00."""


def test_a_plan_on_a_wide_terminal_reads_like_the_contract() -> None:
    assert "\n".join(text.plan(plan(), replace(LOOK, width=200), seconds=2.4)) == AT_200


def test_without_a_terminal_it_is_the_same_text_uncut() -> None:
    assert "\n".join(text.plan(plan(), LOOK, seconds=2.4)) == AT_200


def test_at_80_columns_heads_and_fields_fit_and_nothing_is_lost() -> None:
    lines = text.plan(plan(), replace(LOOK, width=80))
    resource = [line for line in lines if line.startswith(("  ~", "  +", "  -", "-/+", "      "))]
    assert max(map(width, resource)) <= 80
    shown = "\n".join(lines)
    assert "manifests/cup.yaml:40" in shown
    assert "--allow-on-air RelayTask/cup-final" in shown


@pytest.mark.parametrize("columns", [80, 200, None])
@pytest.mark.parametrize("verbosity", [-1, 0, 1, 2])
def test_no_secret_in_any_text(columns: int | None, verbosity: int) -> None:
    shown = "\n".join(text.plan(plan(), replace(LOOK, width=columns, verbosity=verbosity)))
    assert not [secret for secret in SECRETS if secret in shown]


def test_the_symbols_of_ours_are_ascii() -> None:
    made = replace(plan(), changes=tuple(one for one in plan().changes if one.address.name in ("old-loop", "steady")), conflicts=())
    assert "\n".join(text.plan(made, LOOK)).isascii()


def test_hostile_texts_stay_on_their_line() -> None:
    bad = change(
        Action.CREATE,
        "x",
        HOSTILE,
        place=Place(HOSTILE, 1),
        warnings=(HOSTILE,),
        fields=(FieldChange("spec.title", HOSTILE, HOSTILE + "2"),),
    )
    shown = text.plan(replace(plan(bad), workspace=HOSTILE), replace(LOOK, verbosity=2))
    assert all(line.isprintable() for line in shown)
    assert not [line for line in shown if line.startswith("::")]


def test_colour_is_paint_only() -> None:
    import re

    painted = "\n".join(text.plan(plan(), replace(LOOK, color=True), seconds=2.4))
    assert "\x1b[31m" in painted
    assert re.sub(r"\x1b\[\d+m", "", painted) == AT_200


def test_more_fields_than_a_screen_are_counted() -> None:
    many = tuple(FieldChange(f"spec.f{index}", index, index + 1) for index in range(12))
    one = change(Action.UPDATE, "wide", "differs", place=Place("m.yaml", 1), fields=many)
    shown = list(text.details(one, LOOK))
    assert shown[-1] == "      (4 more, -v shows them)"
    assert len(list(text.details(one, replace(LOOK, verbosity=1)))) == 12


def test_list_changes_are_explained_by_item_not_by_index() -> None:
    field = FieldChange("spec.layout.regions", [{"s": 1, "x": 0}, {"s": 2, "x": 5}, {"s": 3, "x": 9}], [{"s": 2, "x": 5}, {"s": 3, "x": 9}])
    assert text.inside(field, LOOK) == ["- [0]  {s: 1, x: 0}"]


def test_a_secret_inside_a_changed_list_shows_by_fingerprint_only() -> None:
    field = FieldChange("spec.files", [{"url": Sealed("aaaa11", "http://h/***")}], [{"url": Sealed("bbbb22", "http://h/***")}])
    assert text.inside(field, LOOK) == ['~ [0].url  "http://h/*** [key aaaa]" -> "http://h/*** [key bbbb]"']


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        pytest.param("live", "files", "live -> files", id="words"),
        pytest.param(None, "", '(none) -> ""', id="absent and empty differ"),
        pytest.param(True, False, "true -> false", id="booleans as in YAML"),
        pytest.param(at(23, 30), at(0, 15, day=21), "2026-11-20 Fri 23:30 -> 2026-11-21 Sat 00:15 +08:00  (+45 min)", id="over midnight"),
        pytest.param(Sealed("aaaa9", "***"), Sealed("bbbb9", "(env:K)"), "[key aaaa -> bbbb]", id="a secret by fingerprints"),
        pytest.param(
            Sealed("aaaa9", "rtmp://h/a?key=***"),
            Sealed("bbbb9", "rtmp://h/a?key=${env:K}"),
            "rtmp://h/a?key=${env:K}  [key aaaa -> bbbb]",
            id="a URL of which only the hidden part differs is shown once",
        ),
        pytest.param(
            Sealed("aaaa9", "rtmp://h/a?key=***"),
            Sealed("bbbb9", "rtmp://i/a?key=***"),
            "rtmp://h/a?key=*** -> rtmp://i/a?key=***  [key aaaa -> bbbb]",
            id="a URL that differs visibly, too",
        ),
        pytest.param(
            Sealed("aaaa9", "http://h/a"), Sealed("bbbb9", "http://h/b"), "http://h/a -> http://h/b", id="a URL without hidden parts"
        ),
        pytest.param(["mp4"], ["mp4", "hls"], "[mp4] -> [mp4, hls]", id="short lists in full"),
        pytest.param([{"a": "x" * 60}], [{"a": "y" * 60}], "1 item, 1 of them changed", id="long lists counted"),
    ],
)
def test_one_change(before: object, after: object, shown: str) -> None:
    assert LOOK.change(FieldChange("spec.x", before, after)) == shown


def test_a_picture_is_told_by_its_digest_and_size() -> None:
    picture = "data:image/png;base64," + "A" * 5000
    assert LOOK.value(picture) == LOOK.value(brief(picture)) == "sha256:a60bb0878a2f... (3750 bytes)"
    assert len(replace(LOOK, verbosity=2).value(picture)) == len("sha256:") + 64 + len(" (3750 bytes)")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.25, "0.25 s"), (4, "4 s"), (90, "1 min 30 s"), (5400, "1 h 30 min"), (90061, "1 d 1 h")],
)
def test_length(seconds: float, shown: str) -> None:
    assert length(seconds) == shown
    assert length(timedelta(seconds=seconds)) == shown


def test_a_span_over_a_change_of_offset_tells_both() -> None:
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    london = Look(zone=ZoneInfo("Europe/London"))
    night = Window(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    assert london.span(night) == "2026-10-25 Sun 01:30 +01:00 - 2026-10-25 Sun 01:30 +00:00"


def test_no_changes_says_so() -> None:
    calm = replace(plan(), changes=(), drift=(), unchanged=38)
    assert text.plan_summary(calm, LOOK) == "No changes. Plan 5c1e9a: 38 unchanged. Valid until 23:30 +08:00."


def test_only_blocked_is_not_no_changes() -> None:
    stuck = replace(plan(), changes=(blocked(),), drift=(), unchanged=3)
    assert text.plan_summary(stuck, LOOK) == "Plan 5c1e9a: 1 to replace, 3 unchanged. 1 blocked. Valid until 23:30 +08:00."


# --- apply ------------------------------------------------------------------------------------------------------------


def result(action: Action, name: str, outcome: Outcome, message: str = "", next_step: str = "") -> Result:
    return Result(Change(Address("RelayTask", name), action, "x"), outcome, message, next_step=next_step)


def test_a_stopped_apply_tells_done_unknown_and_not_started() -> None:
    results = [
        result(Action.UPDATE, "sport-final", Outcome.DONE),
        result(Action.DELETE, "old-loop", Outcome.DONE),
        result(Action.CREATE, "morning", Outcome.UNKNOWN, "CreatePullToPushTask sent once, no answer in 30 s"),
        *(result(Action.CREATE, f"n{index}", Outcome.NOT_STARTED) for index in range(4)),
    ]
    shown = text.apply_summary(replace(plan(), changes=()), results, LOOK, run="77d0b2")
    assert "\n".join(shown) == (
        "Apply 77d0b2 stopped:\n"
        "  done         2   ~ RelayTask/sport-final, - RelayTask/old-loop\n"
        "  unknown      1   + RelayTask/morning   (CreatePullToPushTask sent once, no answer in 30 s)\n"
        "  not started  4   (listed with -v)\n"
        "Next: reconciler refresh RelayTask/morning"
    )


def test_a_complete_apply_is_one_line_and_names_what_is_left() -> None:
    shown = text.apply_summary(plan(), [result(Action.CREATE, "a", Outcome.DONE)], LOOK, seconds=38.9)
    assert shown[0] == "Apply 5c1e9a complete: 1 created. 38.9 s. 1 blocked change is left: RelayTask/cup-final."
    assert shown[1] == "Next: reconciler apply --allow-on-air RelayTask/cup-final"


def test_an_interrupted_apply_says_so_even_when_nothing_was_begun() -> None:
    shown = text.apply_summary(plan(), [result(Action.CREATE, "a", Outcome.NOT_STARTED)], replace(LOOK, verbosity=1), interrupted=True)
    assert shown[0] == "Apply 5c1e9a interrupted:"
    assert "  not started  1   + RelayTask/a" in shown


def test_one_command_allows_all_that_only_a_flag_keeps_back() -> None:
    names = ("cup", "derby")
    held = [
        Change(Address("RelayTask", one), Action.BLOCKED, "ON AIR", needs=Need("x", f"--allow-on-air RelayTask/{one}")) for one in names
    ]
    locked = Change(Address("RelayTask", "vault"), Action.BLOCKED, "protected", needs=Need("edit it", field="lifecycle.protect"))
    shown = text.apply_summary(replace(plan(), changes=(*held, locked)), [], LOOK, verb="Destroy")
    assert shown[-1] == "Next: reconciler destroy --allow-on-air RelayTask/cup --allow-on-air RelayTask/derby"
    shown = text.apply_summary(replace(plan(), changes=(locked, *held)), [], LOOK)
    assert shown[-1] == "Next: reconciler explain RelayTask.lifecycle.protect"


def test_what_waits_on_air_is_told_at_the_end() -> None:
    held = Change(Address("RelayTask", "cup"), Action.WAIT, "ON AIR", wanted=Action.UPDATE, on_air=True)
    later = Change(Address("RelayTask", "far"), Action.WAIT, "beyond the horizon", wanted=Action.CREATE)
    shown = text.apply_summary(replace(plan(), changes=(held, later)), [], LOOK)
    assert shown == ["Apply 5c1e9a complete: nothing to do. 1 change waits for the end of its window: RelayTask/cup."]


def test_a_destroy_says_what_it_leaves_and_when_that_can_go() -> None:
    flag = "--allow-on-air RelayTask/cup"
    held = Change(
        Address("RelayTask", "cup"), Action.WAIT, "destroy, ON AIR", wanted=Action.DELETE, on_air=True,
        needs=Need(f"{flag}, or destroy after 2026-11-20T15:30:00Z", flag),
    )  # fmt: skip
    locked = Change(
        Address("RelayTask", "vault"), Action.BLOCKED, "protected", wanted=Action.DELETE, needs=Need("edit it", field="lifecycle.protect")
    )
    shown = text.apply_summary(replace(plan(), changes=(held, locked)), [result(Action.DELETE, "a", Outcome.DONE)], LOOK, verb="Destroy")
    assert shown == [
        "Destroy 5c1e9a leaves 2 objects:",
        "  done         1   - RelayTask/a",
        "  left         2   = RelayTask/vault   (edit it)",
        "                   = RelayTask/cup   (--allow-on-air RelayTask/cup, or destroy after 2026-11-20 Fri 23:30 +08:00)",
        "Next: reconciler explain RelayTask.lifecycle.protect",
    ]
    shown = text.apply_summary(replace(plan(), changes=(held,)), [], LOOK, verb="Destroy")
    assert shown[0] == "Destroy 5c1e9a leaves 1 object:"
    assert shown[-1] == "Next: reconciler destroy --allow-on-air RelayTask/cup"


def test_a_failure_ends_with_its_own_next_step() -> None:
    shown = text.apply_summary(
        replace(plan(), changes=()), [result(Action.CREATE, "a", Outcome.FAILED, "refused", next_step="reconciler explain RC112")], LOOK
    )
    assert shown[1:] == ["  failed       1   + RelayTask/a   (refused)", "Next: reconciler explain RC112"]


def test_drift_alone() -> None:
    shown = text.drift(plan(), LOOK)
    assert shown[-2] == "1 resource drifted (checked 2026-11-20 Fri 21:40 +08:00)."
    assert text.drift(replace(plan(), drift=()), LOOK)[0].startswith("No drift. 37 resources as last applied")
