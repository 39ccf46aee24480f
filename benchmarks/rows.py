"""The rows of the performance page: which script measures what, and how good it has to be."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ROWS", "SCRIPTS", "Row", "figure_in", "rounded", "table_of", "verdict"]

#: The scripts of this folder, in the order in which they run, and their arguments.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "overhead": ("--quick",),
    "hosts": ("--quick",),
    "costs": ("--quick",),
    "scale": (),
    "banner": ("--quick",),
}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: What is measured, and against what.
        script: The script that measures it, a key of :data:`SCRIPTS`.
        path: The keys of its figure in the script's JSON.
        goal: What the figure has to reach.
        unit: Of the figure; ``x`` is a ratio within one run.
        more: Whether a higher figure is better.
    """

    what: str
    script: str
    path: tuple[str, ...]
    goal: float
    unit: str = "x"
    more: bool = False


def _call(where: str, own: str, script: str, *path: str) -> Row:
    return Row(f"`get_current_user()` {where}, against {own}", script, (*path, "ratio"), 1.0)


def _http(how: str) -> Row:
    what = f"CPU time of the server for `GET api/kernels`, for a user {how}"
    kind = "cookie" if "cookie" in how else "header"
    return Row(what, "costs", ("http", f"api/kernels by {kind}, us", "ratio"), 1.05)


def _scaled(what: str, key: str) -> Row:
    return Row(
        f"{what} with 100,000 known logins, against 10", "scale", ("ratio", "100000", key), 1.5
    )


ROWS: tuple[Row, ...] = (
    _call("in a cell", "`os.environ[…]`", "overhead", "in_kernel", "call"),
    _call("in a widget's callback", "`os.environ[…]`", "overhead", "in_kernel", "callback"),
    _call("in a cell of a Voila page", "`os.environ[…]`", "hosts", "voila", "call_in_cell"),
    _call("in a callback of a Voila page", "`os.environ[…]`", "hosts", "voila", "call_in_callback"),
    _call("on a page of `panel serve`", "`pn.state.user`", "hosts", "panel", "page"),
    _call("in a callback of `panel serve`", "`pn.state.user`", "hosts", "panel", "callback"),
    _call("on a page of `bokeh serve`", "reading the signed cookie", "hosts", "bokeh", "page"),
    _call("in Streamlit", "`st.user.to_dict()`", "hosts", "streamlit", "st_user_to_dict"),
    _call("in marimo", "`mo.app_meta().request`", "hosts", "marimo", "mo_app_meta_request"),
    _call("in Gradio", "`dict(request.cookies)`", "hosts", "gradio", "request_cookies"),
    _call("in FastAPI", "`request.cookies`", "hosts", "fastapi", "request_cookies"),
    _call("in Flask", "`request.cookies`", "hosts", "flask", "flask_request_cookies"),
    _call(
        "in Django", "`request.user.get_username()`", "hosts", "django", "request_user_get_username"
    ),
    Row(
        "the server's work on a message to a kernel",
        "overhead",
        ("per_message", "to_kernel_us"),
        5,
        "µs",
    ),
    Row(
        "a trivial cell, both servers with `TCP_NODELAY`",
        "overhead",
        ("round_trip", "ratio_both_nodelay"),
        1.02,
    ),
    Row(
        "a trivial cell, both servers as installed",
        "overhead",
        ("round_trip", "ratio_both_default"),
        1.0,
    ),
    Row(
        "the start of a kernel and its first cell",
        "overhead",
        ("kernel_start", "median_ratio_of_pairs"),
        1.05,
    ),
    Row("the import in a kernel", "overhead", ("import_in_kernel_ms", "median"), 10, "ms"),
    Row(
        "the first `get_cookies()`",
        "overhead",
        ("in_kernel", "first_get_cookies_ms", "median"),
        5,
        "ms",
    ),
    Row("the load of a Voila page", "hosts", ("voila", "page_load", "median_ratio_of_pairs"), 1.02),
    _http("whom a proxy's header names"),
    _http("with a login cookie"),
    Row(
        "CPU time of the server for 20,000 messages from a kernel",
        "costs",
        ("from_kernel", "cpu_us_per_message", "ratio"),
        1.02,
    ),
    Row(
        "CPU time of the server for 95 MiB of buffers", "costs", ("buffers", "cpu_s", "ratio"), 1.02
    ),
    Row("throughput of these buffers", "costs", ("buffers", "mib_per_s", "ratio"), 0.98, more=True),
    Row("memory of open websockets", "costs", ("connections", "mib_per_1000", "ratio"), 1.05),
    Row(
        "CPU time at rest, with 10,000 logins",
        "costs",
        ("idle", "percent_of_a_core", "ours"),
        0.1,
        "% of a core",
    ),
    Row(
        "from an exact end of the login to the banner on a Voila page",
        "banner",
        ("exact_end", "voila", "median"),
        2_000,
        "ms",
    ),
    Row(
        "from an exact end of the login to the banner on a Panel preview",
        "banner",
        ("exact_end", "panel", "median"),
        2_000,
        "ms",
    ),
    _scaled("the check of a message", "message_us"),
    _scaled("a look for timeouts", "tick_us"),
    _scaled("a new login", "new_login_us"),
    Row(
        "memory of one of 10,000 known logins",
        "scale",
        ("logins", "10000", "bytes_per_login"),
        2_048,
        "bytes",
    ),
)


def figure_in(result: Mapping[str, Any], path: Sequence[str]) -> float:
    """Return the figure at this path of a script's JSON.

    Raises:
        LookupError: The script has no such figure.
        TypeError: It is not a number.
    """
    found: Any = result
    for key in path:
        found = found[key]
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TypeError(found)
    return float(found)


def rounded(value: float) -> str:
    """Return a figure with three digits, without an exponent."""
    digits = f"{float(f'{value:.3g}'):,.6f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def verdict(row: Row, figures: Sequence[float]) -> bool | None:
    """Tell whether the median reaches the row's goal; None without a figure."""
    if not figures:
        return None
    middle = statistics.median(figures)
    return middle >= row.goal if row.more else middle <= row.goal


def table_of(figures: Mapping[str, Sequence[float]]) -> str:
    """Return the table in Markdown.

    Args:
        figures: For each row's ``what``, the figure of each run.
    """
    lines = ["| | median | lowest to highest | goal | |", "|---|--:|--:|--:|---|"]
    for row in ROWS:
        found = figures.get(row.what, ())
        reached = verdict(row, found)
        goal = f"{'≥' if row.more else '≤'} {rounded(row.goal)} {row.unit}"
        if reached is None:
            lines.append(f"| {row.what} | not measured | | {goal} | |")
            continue
        middle = f"{rounded(statistics.median(found))} {row.unit}"
        spread = f"{rounded(min(found))} to {rounded(max(found))}"
        lines.append(
            f"| {row.what} | {middle} | {spread} | {goal} | {'yes' if reached else '**no**'} |"
        )
    return "\n".join(lines)
