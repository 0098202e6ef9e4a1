"""Runs cases again, from the lines that failures print: `python -m tests.crash.replay "relay create reset after 1 7"`."""

from __future__ import annotations

import sys

from tests.crash.harness import Case, empty, run, workplace


def main(lines: list[str]) -> int:
    wrong = 0
    with workplace() as folder:
        for line in lines:
            case = Case.parse(line)
            try:
                print(f"{case}: settled in {run(case, folder).lives} lives")
            except AssertionError as failure:
                wrong += 1
                print(f"{case}: {failure}")
            finally:
                empty(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
