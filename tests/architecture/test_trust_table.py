"""Each claim in docs/trust.md has a test that shows it.

The page holds a table with a row per claim:

    | claim | test |
    |---|---|
    | A forked process knows no user. | `tests/kernel/test_fork.py::test_pool` |
    | A co-user's answer is dropped. | `tests/flow/test_a.py::test_b`, `tests/a.py::TestC::test_d` |

The second cell names tests as pytest does, several separated by a comma or ``<br>``; backticks
and links are optional. What stands in brackets at the end is a parameter, and is not looked at.
Only tables whose header is exactly "claim" and "test" count.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "trust.md"

_HEADER = ["claim", "test"]
_LINK = re.compile(r"\[([^\]]+\.py::[^\]]*)\]\([^)]*\)")
_SEPARATOR = re.compile(r",(?![^\[]*\])|<br\s*/?>")
_CELL = re.compile(r"(?<!\\)\|")


def cells(line: str) -> list[str]:
    """Return the cells of a table's row."""
    return [cell.strip() for cell in _CELL.split(line.strip().strip("|"))]


def rows(page: str) -> list[tuple[str, list[str]]]:
    """Return each claim of a page, and the tests that it names."""
    found, inside = [], False
    for line in page.splitlines():
        if not line.lstrip().startswith("|"):
            inside = False
        elif [cell.lower() for cell in cells(line)] == _HEADER:
            inside = True
        elif inside and set(line) - set("|-: "):
            claim, *rest = cells(line)
            found.append((claim, named_in(" ".join(rest))))
    return found


def named_in(cell: str) -> list[str]:
    """Return the tests that a cell names."""
    parts = _SEPARATOR.split(_LINK.sub(r"\1", cell))
    return [part.strip().strip("`").strip() for part in parts if part.strip()]


def missing(root: Path, page: str) -> list[str]:
    """Return what is wrong with the table of a page; each entry names the row.

    Args:
        root: Where the paths begin.
        page: Its text.
    """
    claims = rows(page)
    if not claims:
        return ["no row: the page has no table with the header | claim | test |"]
    wrong = [f"{claim}: no test" for claim, named in claims if not named]
    return wrong + [
        f"{claim}: no such test: {test}"
        for claim, named in claims
        for test in named
        if not exists(root, test)
    ]


def exists(root: Path, test: str) -> bool:
    """Tell whether a test stands in its file, without importing it."""
    path, *names = test.partition("[")[0].split("::")
    file = root / path
    if not names or not path.startswith("tests/") or not file.is_file():
        return False
    node: ast.AST = ast.parse(file.read_text("utf-8"))
    for name in names:
        inner = {one.name: one for one in ast.iter_child_nodes(node) if _is_named(one)}
        if name not in inner:
            return False
        node = inner[name]
    return names[-1].startswith("test") and not isinstance(node, ast.ClassDef)


def _is_named(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)


def test_each_claim_of_the_trust_page_has_its_tests():
    """No claim stands without a test, and no test in the table is missing."""
    assert missing(ROOT, PAGE.read_text("utf-8")) == []


_SAMPLE = """
import pytest
def test_plain(): pass
async def test_coroutine(): pass
def helper(): pass
class TestGroup:
    def test_inside(self): pass
"""
_HEAD = "| claim | test |\n|---|---|\n"


@pytest.fixture
def root(tmp_path):
    """Return a folder with one file of tests."""
    (tmp_path / "tests" / "kernel").mkdir(parents=True)
    (tmp_path / "tests" / "kernel" / "test_sample.py").write_text(_SAMPLE, "utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "test_elsewhere.py").write_text(_SAMPLE, "utf-8")
    return tmp_path


_FILE = "tests/kernel/test_sample.py"


@pytest.mark.parametrize(
    "cell",
    [
        f"`{_FILE}::test_plain`",
        f"{_FILE}::test_coroutine",
        f"`{_FILE}::TestGroup::test_inside`",
        f"`{_FILE}::test_plain[v1-a, b]`, `{_FILE}::test_coroutine`",
        f"`{_FILE}::test_plain`<br>`{_FILE}::test_coroutine`",
        f"[`{_FILE}::test_plain`](../{_FILE})",
    ],
)
def test_tests_that_exist_are_found(root, cell):
    """Plain, asynchronous, in a class, with parameters, several in a cell."""
    assert missing(root, f"{_HEAD}| It holds. | {cell} |\n") == []


@pytest.mark.parametrize(
    "cell",
    [
        "",
        f"`{_FILE}::test_gone`",
        f"`{_FILE}::helper`",
        f"`{_FILE}::TestGroup`",
        f"`{_FILE}::test_inside`",
        f"`{_FILE}`",
        "`tests/kernel/test_gone.py::test_plain`",
        "`docs/test_elsewhere.py::test_plain`",
        f"`{_FILE}::test_plain`, `{_FILE}::test_gone`",
    ],
)
def test_a_test_that_is_missing_is_told(root, cell):
    """One wrong name is enough, and the message names the claim."""
    (wrong,) = missing(root, f"{_HEAD}| It holds. | {cell} |\n")
    assert wrong.startswith("It holds.: no ")


@pytest.mark.parametrize(
    "page", ["", "# Trust\n", _HEAD, "| what | test |\n|---|---|\n| a | b |\n"]
)
def test_a_page_without_a_row_fails(root, page):
    """An empty table or another table shows nothing."""
    assert "no row" in missing(root, page)[0]


def test_all_tables_of_the_page_count(root):
    """The claims may stand in several tables, with text and other tables between them."""
    good = f"{_HEAD}| a | `{_FILE}::test_plain` |\n"
    page = f"{good}\ntext\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n{_HEAD}| b | `{_FILE}::test_no` |\n"
    assert missing(root, page) == [f"b: no such test: {_FILE}::test_no"]
