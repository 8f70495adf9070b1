"""All checks, and how they are made."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from vstack_runtime.doctor import access, basics, capacity, models, places, surroundings
from vstack_runtime.doctor.case import Case, Check, Finding, Report, skipped
from vstack_runtime.settings import SettingsError

CHECKS: tuple[Check, ...] = (
    *basics.CHECKS,
    *access.CHECKS,
    *capacity.CHECKS,
    *models.CHECKS,
    *places.CHECKS,
    *surroundings.CHECKS,
)
GROUPS = tuple(dict.fromkeys(check.group for check in CHECKS))


def examine(case: Case, *, network: bool = True, only: Collection[str] = ()) -> Iterator[Report]:
    """Make the checks, in order.

    Args:
        case: What is looked at.
        network: Whether other machines may be asked.
        only: Names of checks and groups; empty for all but those that are made on request.

    Yields:
        What each has found; a check that fails itself is reported as an error of its own.
    """
    for check in CHECKS:
        named = bool({check.name, check.group} & set(only))
        if named or not (only or check.on_request):
            found = _made(check, case, network)
            yield Report(check.name, found.level, found.saw, found.means, found.mend)


def _made(check: Check, case: Case, network: bool) -> Finding:
    if check.network and not network:
        return skipped("the network is left alone")
    try:
        return check.look(case)
    except SettingsError:
        # Said once, by settings.sound.
        return skipped("the settings cannot be read")
    except Exception as fault:
        means = "what it looks at is not known to be well"
        return Finding("error", f"the check failed: {type(fault).__name__}: {fault}", means, "report this as a bug")
