"""The performance page has one row for each figure of the benchmarks, and says what was missed."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def loaded(name):
    """Return a module of the benchmarks' folder."""
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


rows = loaded("rows")


@pytest.fixture
def runner(monkeypatch):
    """Return the program; it finds ``rows`` as if it was started."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setitem(sys.modules, "rows", rows)
    return loaded("__main__")


def test_the_page_has_each_row_once():
    """A row that was renamed, added or removed needs a new measurement, not an edited page."""
    lines = PAGE.read_text("utf-8").splitlines()
    table = lines[lines.index("|---|--:|--:|--:|---|") + 1 :]
    table = table[: table.index("")]
    assert [line.split(" | ")[0].removeprefix("| ") for line in table] == [
        r.what for r in rows.ROWS
    ]
    assert not any("not measured" in line for line in lines)


def test_each_row_has_a_script_and_each_script_a_row():
    """The scripts exist, and none is run for nothing."""
    assert {row.script for row in rows.ROWS} == set(rows.SCRIPTS)
    assert all((BENCHMARKS / f"{script}.py").is_file() for script in rows.SCRIPTS)
    assert len({row.what for row in rows.ROWS}) == len(rows.ROWS)


@pytest.mark.parametrize(
    ("figures", "more", "reached"),
    [
        ([0.5, 1.0, 9.0], False, True),  # the median counts, not the mean
        ([0.5, 1.1, 1.2], False, False),
        ([1.2, 1.1, 0.5], True, True),
        ([0.9, 0.8, 2.0], True, False),
        ([], False, None),
    ],
)
def test_the_median_decides(figures, more, reached):
    """Higher figures are better only where the row says so."""
    row = rows.Row("x", "costs", ("x",), 1.0, more=more)
    assert rows.verdict(row, figures) is reached


def test_a_missed_goal_is_in_bold():
    """The table shows the median, the range and the verdict of each row."""
    first, second = rows.ROWS[:2]
    table = rows.table_of({first.what: [3.0, 1.5, 2.0], second.what: [0.25]})
    lines = table.splitlines()[2:]
    assert lines[0] == f"| {first.what} | 2 x | 1.5 to 3 | ≤ 1 x | **no** |"
    assert lines[1] == f"| {second.what} | 0.25 x | 0.25 to 0.25 | ≤ 1 x | yes |"
    assert all("not measured" in line for line in lines[2:])


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123456, "0.0123"), (1999.6, "2,000"), (5, "5"), (0.8, "0.8")]
)
def test_three_digits(value, text):
    """Figures have three digits, and no exponent."""
    assert rows.rounded(value) == text


def test_a_figure_that_is_missing_is_a_problem(runner):
    """A script that changed its JSON is reported, and the other figures count."""
    figures = {}
    scale = [row for row in rows.ROWS if row.script == "scale"]
    result = {"ratio": {"100000": {"message_us": 1.25, "tick_us": True}}, "logins": {}}
    absent = runner.collect("scale", result, figures)
    assert [each for values in figures.values() for each in values] == [1.25]
    assert len(absent) == len(scale) - 1


def test_a_script_that_fails_does_not_end_the_rest(runner, monkeypatch, tmp_path, capsys):
    """The problem is its last line; a missed goal, status 1 with JSON, is none."""
    (tmp_path / "bad.py").write_text("raise SystemExit('no server')")
    (tmp_path / "missed.py").write_text("print('{\"a\": 1}'); raise SystemExit(1)")
    monkeypatch.setattr(runner, "HERE", tmp_path)
    monkeypatch.setattr(runner, "SCRIPTS", {"bad": (), "missed": ()})
    figures, problems = runner.measure(["bad", "missed"], 2)
    assert problems == ["bad: no server"] * 2 and figures == {}
    assert "[4/4] missed" in capsys.readouterr().err


def test_a_new_table_changes_nothing_else(runner):
    """Only the text between the two marks is replaced."""
    page = f"before\n{runner.BEGIN}\nold\n{runner.END}\nafter"
    assert runner.written(page, "new") == f"before\n{runner.BEGIN}\n\nnew\n\n{runner.END}\nafter"
    with pytest.raises(ValueError, match="missing"):
        runner.written("no place", "new")


def test_help():
    """``--help`` names each option, without measuring anything."""
    command = [sys.executable, str(BENCHMARKS), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert all(option in done.stdout for option in ("--quick", "--only", "--json", "--write"))


def test_a_script_that_hangs_leaves_no_process(runner, monkeypatch, tmp_path):
    """The servers that a script has started end with it."""
    (tmp_path / "hangs.py").write_text(
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "pathlib.Path(__file__).with_name('pid').write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setattr(runner, "HERE", tmp_path)
    monkeypatch.setattr(runner, "PATIENCE_S", 3)
    monkeypatch.setitem(runner.SCRIPTS, "hangs", ())
    assert runner.run("hangs") == ({}, "did not end within 3 s")
    with contextlib.suppress(psutil.NoSuchProcess):
        child = psutil.Process(int((tmp_path / "pid").read_text()))
        psutil.wait_procs([child], timeout=10)
        assert child.status() == psutil.STATUS_ZOMBIE  # until init has taken note
