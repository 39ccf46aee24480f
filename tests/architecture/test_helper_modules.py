"""Helper modules of the tests have names of their own.

All tests of one worker share ``sys.path`` and ``sys.modules``: of two helpers with one name, each
test would get the one that was imported first.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
#: Folders of programs that run in processes of their own.
PROGRAMS = {"apps", "drivers"}

HELPERS: dict[str, list[Path]] = {}
IMPORTED: set[str] = set()
for path in sorted(TESTS.rglob("*.py")):
    if path.name == "conftest.py" or PROGRAMS & set(path.parts):
        continue
    HELPERS.setdefault(path.stem, []).append(path.relative_to(TESTS))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            IMPORTED.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            IMPORTED.add(str(node.module))


@pytest.mark.parametrize("name", sorted(IMPORTED & HELPERS.keys()))
def test_a_helper_that_tests_import_exists_once(name):
    """A bare import means the same file in each order of the tests."""
    assert len(HELPERS[name]) == 1, HELPERS[name]
