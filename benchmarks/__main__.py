"""Measures what the package costs, and writes the table of docs/performance.md.

    python benchmarks [--quick] [--only NAME ...] [--repeat 5] [--json FILE] [--write]

Runs the scripts that ``rows.py`` names, one after the other, several times. Prints a table with the
median, the lowest and the highest figure of each row. A figure with x is a ratio within one run of
its script. Ends with status 1 if a script failed; a goal that is missed is no failure.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rows import ROWS, SCRIPTS, figure_in, table_of

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "performance.md"
BEGIN, END = "<!-- begin: make bench ARGS=--write -->", "<!-- end -->"
#: A script that has not ended by then hangs.
PATIENCE_S = 900
VERSIONS = (
    *("jupyter_server", "ipykernel", "tornado", "voila", "panel", "bokeh", "streamlit", "marimo"),
    *("gradio", "fastapi", "flask", "django"),
)

Figures = dict[str, list[float]]


def run(script: str) -> tuple[dict[str, Any], str]:
    """Run one script.

    Returns:
        Its JSON, and its problem; one of both is empty. A script that missed a goal of its own ends
        with a status other than 0, too, and its figures count.
    """
    command = (sys.executable, str(HERE / f"{script}.py"), *SCRIPTS[script])
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - a script of ours
        command, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            printed, said = process.communicate(timeout=PATIENCE_S)
            return json.loads(printed), ""
        except subprocess.TimeoutExpired:
            return {}, f"did not end within {PATIENCE_S} s"
        except json.JSONDecodeError:
            status = f"printed no JSON; its status is {process.returncode}"
            return {}, [status, *said.strip().splitlines()][-1]
        finally:
            # Also after Ctrl-C, which does not reach another session: the script, and its servers.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def collect(script: str, result: Mapping[str, Any], figures: Figures) -> list[str]:
    """Add the figures of one run to those of each row; return the rows that have none."""
    absent = []
    for row in ROWS:
        if row.script != script:
            continue
        try:
            figures.setdefault(row.what, []).append(figure_in(result, row.path))
        except (LookupError, TypeError):
            absent.append(row.what)
    return absent


def measure(scripts: Sequence[str], repeat: int) -> tuple[Figures, list[str]]:
    """Run the scripts; return the figures of each row, and the problems."""
    figures: Figures = {}
    problems = []
    total = len(scripts) * repeat
    for number in range(total):
        script = scripts[number % len(scripts)]
        started = time.perf_counter()
        result, problem = run(script)
        found = [problem] if problem else collect(script, result, figures)
        problems += [f"{script}: {each}" for each in found]
        took = time.perf_counter() - started
        said = f"failed: {'; '.join(found)}" if found else f"{took:.0f} s"
        print(f"[{number + 1}/{total}] {script} {said}", file=sys.stderr, flush=True)
    return figures, problems


def version_of(package: str) -> str:
    """Return the version of a package, or that it is missing: its script will say so, too."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def where(runs: int) -> str:
    """Return a sentence about the measurement and this machine, without its name."""
    versions = ", ".join(f"{name} {version_of(name)}" for name in VERSIONS)
    return (
        f"Measured on {datetime.now(timezone.utc):%Y-%m-%d}, "
        f"{runs} run{'' if runs == 1 else 's'} of each script: {platform.system()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}."
    )


def written(page: str, table: str) -> str:
    """Return the page with another table.

    Raises:
        ValueError: The page has no place for it.
    """
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{BEGIN} and {END} are missing")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def main() -> int:
    """Measure, and print the table; return the exit status."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one run of each script")
    parser.add_argument("--only", action="append", choices=SCRIPTS, help="this script alone")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each script (default: 5)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there, too")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: what runs is ended
        signal.signal(number, lambda *_: sys.exit(1))
    scripts = options.only or list(SCRIPTS)
    if options.repeat < 1:
        parser.error("--repeat needs at least one run")
    if options.write and options.only:
        parser.error("--write needs all scripts: leave out --only")
    runs = 1 if options.quick else options.repeat
    figures, problems = measure(scripts, runs)
    table = f"{where(runs)}\n\n{table_of(figures)}"
    print(table)
    if options.json:
        report = {"figures": figures, "problems": problems, "where": where(runs)}
        Path(options.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.write:
        PAGE.write_text(written(PAGE.read_text("utf-8"), table), encoding="utf-8")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
