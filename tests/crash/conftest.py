"""Adds the cases of all tests up and prints their number in the last lines of the report."""

from __future__ import annotations

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [one for outcome in ("passed", "failed") for one in terminalreporter.stats.get(outcome, ()) if one.when == "call"]
    counted = [number for one in reports for name, number in one.user_properties if name == "cases"]
    if counted:
        terminalreporter.write_line(f"fault and kill cases: {sum(counted):,} in {len(counted)} tests")
