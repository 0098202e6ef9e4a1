"""What a look-up makes of a write whose result nobody knows. Unknown is not failed; absence is believed only after the horizon."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from reconciler import diff
from reconciler.frozen import frozen
from reconciler.model import Desired, Entry, Intent, Match, Observed, Presence, Seal, Stage, Values, Verb
from reconciler.scalars import instant_text

LATEST = timedelta(minutes=15)  # a signature's validity where nobody shortens it: nothing that was sent comes to life later


@frozen
class Settlement:
    """What became of an intent: `known` at all, whether the object is `present`, and the entry the ledger then keeps.

    Without one, and known: the address has no object any more, and what carries `gone` as its identity came to life late.
    """

    intent: Intent
    known: bool
    text: str
    present: bool = False
    entry: Entry | None = None

    @property
    def gone(self) -> str:
        return self.intent.identity if self.known and not self.present else ""


def settle(
    intent: Intent,
    seen: Observed,
    *,
    entry: Entry | None,
    want: Desired | None,
    desired: Values | None,
    seal: Seal,
    now: datetime,
    reach: timedelta | None = None,
    create_first: bool = False,
) -> Settlement:
    """Judges one open intent by what was seen. `desired` is the intent's record of what was asked for, opened; `reach` and `create_first`
    are the kind's.
    """

    def known(what: str, kept: Entry | None, *, present: bool = True) -> Settlement:
        return Settlement(intent, True, f"{intent.action} {what}", present, kept)

    late = now >= intent.horizon
    if seen.presence is Presence.ABSENT and entry and entry.started and reach and now - entry.started > reach:
        seen = replace(seen, presence=Presence.UNKNOWN)  # started too long ago: that no read shows it says nothing
    match intent.verb:
        case Verb.CREATE:
            older = entry is not None and seen.id == entry.id and entry.incarnation != intent.incarnation
            if seen.presence in (Presence.LIVE, Presence.ENDED) and seen.match in (Match.LEDGER, Match.MARK) and not older:
                former = entry if create_first and entry is not None and entry.id != seen.id else None
                return known(f"took effect: {seen.id}", _created(intent, seen, want, former))
            if late and (older or seen.presence is Presence.ABSENT or seen.match is Match.TWIN):
                return known("did not take effect", entry, present=False)
        case Verb.DELETE:
            former = entry.former if entry is not None else None
            if former is not None and intent.target == former.id:
                return known(f"is planned again: {former.id} is still to be deleted", entry)
            if entry is not None and intent.target and intent.target != entry.id:  # of a duplicate: the entry's own object stays
                if intent.target not in (seen.id, *seen.also):
                    return known(f"took effect: {intent.target} is gone", entry)
            elif former is not None and (seen.id == former.id or seen.presence is Presence.ABSENT):  # it was to replace what is kept
                return known("took effect", former, present=False)
            elif seen.presence in (Presence.ABSENT, Presence.ENDED):
                return known("took effect", None, present=False)
            if late:
                return known("did not take effect", entry)
        case Verb.STOP:
            if seen.presence in (Presence.ABSENT, Presence.ENDED) or seen.stage is Stage.STOPPED:
                ended = seen.presence is not Presence.LIVE
                return known("took effect", entry and replace(entry, ended=ended))
            if late:
                return known("did not take effect", entry)
        case _:
            if entry is not None and desired is not None and _shows(seen, desired, intent, seal):
                return known("took effect", replace(entry, applied=intent.desired, window=intent.window or entry.window))
            if late:
                return known("is planned again from what is live", entry)
    return Settlement(intent, False, f"{intent.action}: not seen yet; believed absent from {instant_text(intent.horizon)} on", False, entry)


def _shows(seen: Observed, desired: Values, intent: Intent, seal: Seal) -> bool:
    """Whether the read proves that an update took effect: it tells the configuration, and it is the desired one."""
    if seen.presence is not Presence.LIVE or "" in seen.unread:
        return False
    if intent.window is not None and seen.window is not None and intent.window.end != seen.window.end:
        return False
    return not diff.differences(desired, seen.values, seal=seal, unread=seen.unread, applied=desired)


def _created(intent: Intent, seen: Observed, want: Desired | None, former: Entry | None) -> Entry:
    window = intent.window or seen.window  # a session that is over by now tells only how long it ran
    if seen.presence is Presence.LIVE and seen.window:
        window = seen.window
    return Entry(
        address=intent.address,
        account=intent.account,
        id=seen.id,
        identity=seen.identity or intent.identity,
        incarnation=intent.incarnation,
        applied=intent.desired,
        window=window,
        started=seen.started or intent.sent,
        changed=intent.sent,
        former=former,
        **policy(want),
    )


def policy(want: Desired | None) -> dict[str, Any]:
    """What the ledger keeps of a manifest's lifecycle, so that it outlives the manifest."""
    if want is None:
        return {}
    life = want.lifecycle
    return {"protect": life.protect, "retain": life.retain, "on_air_change": life.on_air_change, "depends_on": want.depends_on}
