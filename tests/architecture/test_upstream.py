"""Private names of other projects: the table has each of them, and so do installed releases."""

from __future__ import annotations

import ast
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from jupyter_session_user import upstream
from jupyter_session_user.upstream import PRIVATE, Private, check, missing, trouble

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jupyter_session_user"
PRIVATE_WORD = re.compile(r"_[a-zA-Z][a-zA-Z_]*[a-zA-Z]")
#: Words that look like private names but are not, and documented functions.
NO_NAMES = {"_xsrf", "_streamlit_user", "_reply", "_getframe", "_data"}
#: Functions of pydevd in a frame that this package does not call.
FRAMES = {"_exec", "_run_code", "_run_module_as_main", "_run_module_code"}
#: Files without another project's objects.
PURE = {"core", "store", "testing", "errors.py"}
#: Python's own private names may stand in any file.
PYTHON = {"asyncio", "threading"}


def own_names(tree: ast.Module) -> set[str]:
    """Return the private names that a file defines itself."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if ast.unparse(node.value) in ("self", "cls"):
                found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def used(tree: ast.Module) -> Iterator[str]:
    """Return the private names in a file, as attributes or in strings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            owner, _, word = node.value.rpartition(".")  # "Class._method"
            if not owner or owner[0].isupper():
                yield word


def read() -> dict[str, tuple[set[str], set[str]]]:
    """Return for each file the private names of other projects, and its own."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.partition("/")[0] in PURE or name == "upstream/__init__.py":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        words = {word for word in used(tree) if PRIVATE_WORD.fullmatch(word)}
        words = {word for word in words if not word.startswith("_jupyter_session_user")}  # its own
        found[name] = words, own_names(tree)
    return found


FILES = read()
LISTED = {(private.file, private.name) for private in PRIVATE}


def test_each_foreign_private_name_is_in_the_table():
    """A private name outside of the table fails here: add a row, or use a public name."""
    foreign = {
        (file, word)
        for file, (words, own) in FILES.items()
        for word in words - own - NO_NAMES - FRAMES
    }
    assert foreign - LISTED == set()


def test_the_table_has_no_name_that_is_no_longer_used():
    """A row that no code uses fails here."""
    assert {(file, name) for file, name in LISTED if name not in FILES[file][0]} == set()


@pytest.mark.parametrize("project", sorted({row.project for row in PRIVATE} - PYTHON))
def test_a_project_s_names_stand_in_one_file(project):
    """Each name stands in one file, except for subclasses and the caches of all hosts."""
    rows = [row for row in PRIVATE if row.project == project and not row.overrides]
    assert len({row.file for row in rows} - {"hosts/caches.py"}) <= 1


@pytest.mark.parametrize(
    "projects", ["asyncio threading", "tornado jupyter_server", "ipykernel", "panel bokeh"]
)
def test_the_installed_release_has_them_all(need, projects):
    """Runs in a separate process, since it imports the projects."""
    names = projects.split()
    for name in names:
        need(find_spec(name), f"{name} is missing")
    code = "import sys; from jupyter_session_user.upstream import missing\n"
    code += "print([missing(name, load=True) for name in sys.argv[1:]])"
    run = [sys.executable, "-c", code, *names]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == str([[] for _ in names])


def test_a_name_that_is_gone_is_told_with_the_release(monkeypatch, caplog):
    """The check works for attributes, in functions and modules; older releases may lack names."""
    rows = (
        Private("asyncio", "_add_reader", "asyncio.selector_events:BaseSelectorEventLoop", ""),
        Private("asyncio", "_gone", "asyncio.selector_events:BaseSelectorEventLoop", ""),
        Private("asyncio", "_gone", "asyncio.base_events:BaseEventLoop.run_forever", ""),
        Private("asyncio", "_gone", "asyncio.no_such_module:Loop", ""),
        Private("asyncio", "_future", "asyncio.base_events:BaseEventLoop", "", since=(99,)),
    )
    monkeypatch.setattr(upstream, "PRIVATE", rows)
    places = ["selector_events:BaseSelectorEventLoop", "base_events:BaseEventLoop.run_forever"]
    assert missing("asyncio") == [f"{place} (_gone)" for place in places]
    assert len(missing("asyncio", load=True)) == 3
    assert f"asyncio {sys.version.split()[0]} has no {places[0]} (_gone), " in trouble("asyncio")
    check.cache_clear()
    with caplog.at_level(logging.ERROR):
        check("asyncio")
        check("asyncio")
    assert len(caplog.records) == 1
