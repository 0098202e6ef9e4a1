"""Everything that can go wrong, as one tree; each class knows the process exit code it stands for.

ReconcilerError                      70  a fault of ours, when raised itself
├── UsageError                       64  wrong flags or arguments
├── InvalidManifests                 65  carries every diagnostic found
├── Stopped                           5  a guard wants a person to decide
├── Stale                             6  the plan is old or used, or the lock is held
│   └── LockHeld
├── Unsettled                         7  an earlier write to the address has no known result
├── LedgerError                       1  the ledger cannot be read or written; nothing was sent
└── VendorError                       1  what one request to a vendor came to
    ├── Rejected                      1  the vendor said no: nothing changed there
    │   ├── NotFound                     the object is not there
    │   └── Throttled                69  too many requests: nothing changed, ask again later
    ├── Denied                        4  credentials missing, wrong, or not allowed
    │   └── Lapsed                       the signing time was refused: nothing changed there
    ├── Unavailable                  69  a read failed, or no byte of a write left this machine
    ├── OutcomeUnknown                7  a write was sent and nobody knows what became of it
    └── NotReady                      3  the object exists but did not become ready in time
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from reconciler.scalars import counted

if TYPE_CHECKING:
    from reconciler.model import Diagnostic


class ReconcilerError(Exception):
    """A failure with an exit code and the command that helps next: a line for a shell, never advice, which belongs into the message."""

    exit_code: ClassVar[int] = 70
    usual_step: ClassVar[str] = "reconciler version"

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step or self.usual_step


class UsageError(ReconcilerError):
    exit_code = 64
    usual_step = "reconciler --help"


class InvalidManifests(ReconcilerError):
    """One or more manifests, or the project file, are wrong. `diagnostics` holds every mistake of every file."""

    exit_code = 65

    def __init__(self, diagnostics: Sequence[Diagnostic], message: str = "") -> None:
        first = next((one for one in sorted(diagnostics, key=lambda one: one.severity.value != "error") if one.rule), None)
        next_step = "reconciler validate"
        if first is not None:
            next_step = first.help if first.help.startswith("export ") else f"reconciler explain {first.rule}"
        super().__init__(message or f"{counted(len(diagnostics), 'mistake')} in the manifests", next_step=next_step)
        self.diagnostics = tuple(diagnostics)


class Stopped(ReconcilerError):
    """A guard stopped the run before anything was written. `reasons` are whole sentences."""

    exit_code = 5
    usual_step = "reconciler plan"

    def __init__(self, message: str, *, reasons: Sequence[str] = (), next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.reasons = tuple(reasons) or (message,)


class Stale(ReconcilerError):
    exit_code = 6
    usual_step = "reconciler plan"


class LockHeld(Stale):
    """Another run holds the workspace's lock, and renews it. `stuck`: for longer than a run takes, so that waiting may be in vain."""

    usual_step = "reconciler force-unlock"

    def __init__(self, message: str, *, stuck: bool = False) -> None:
        super().__init__(message)
        self.stuck = stuck


class Unsettled(ReconcilerError):
    """What became of an earlier write to an address is not known: nothing may be done to it, in the ledger or at the vendor, before."""

    exit_code = 7
    usual_step = "reconciler refresh"


class LedgerError(ReconcilerError):
    exit_code = 1
    usual_step = "reconciler doctor"


class DamagedLedger(LedgerError):
    usual_step = "reconciler state rebuild"


class VendorError(ReconcilerError):
    """What one request to a vendor came to, when it was not success.

    `code` is the vendor's error code (or the exception's name), `status` the HTTP status or 0,
    `request_id` the vendor's id of the request, for their support.
    """

    exit_code = 1
    usual_step = "reconciler doctor"

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int = 0,
        action: str = "",
        request_id: str = "",
        next_step: str = "",
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.code = code
        self.status = status
        self.action = action
        self.request_id = request_id


class Rejected(VendorError):
    """The vendor refused: nothing changed there. `doubt`: an earlier sending of the same call had no answer, and may be the reason."""

    doubt: OutcomeUnknown | None = None
    usual_step = "reconciler plan"


class NotFound(Rejected):
    """The vendor has no such object."""


class Throttled(Rejected):
    """Too many requests. `retry_after` seconds if the vendor named them."""

    exit_code = 69
    retry_after: float | None = None


class Denied(VendorError):
    exit_code = 4


class Lapsed(Denied):
    """The signature was too old, or this machine's clock is wrong; the vendor's time is known now."""


class Unavailable(VendorError):
    exit_code = 69


class OutcomeUnknown(VendorError):
    """A write was sent, and no answer says whether it took effect. Unknown is not failed."""

    exit_code = 7
    usual_step = "reconciler refresh"


class NotReady(VendorError):
    """The object exists but did not become ready in time, or its making failed at the vendor."""

    exit_code = 3
    usual_step = "reconciler plan"
