"""The folders of the front end, and what each may import."""

import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "labextension" / "src"
FILES = sorted(SOURCES.glob("**/*.ts"))

MAX_CODE_LINES = 300

#: The other folders that a folder may import from.
FOLDERS = {
    "shared": set(),
    "lab": {"shared"},
    "banner": {"shared"},
    "pages": {"shared"},
}
#: Only JupyterLab provides packages.
PACKAGES = {"lab": ("@jupyterlab/", "@lumino/")}
#: Patterns of rules about the end of a login.
CLOCK_RULES = re.compile(r"Date\.parse\(|5 \* (?:60|MINUTE)|GUESS|'estimated'")
MAY_TELL_TIME = {
    "shared/login.ts",
    "shared/decode.ts",  # reads times
    "shared/popup.ts",  # how long to wait for a login
    "lab/model.ts",  # how often to ask, and the default of a setting
    "pages/bokeh.ts",  # Bokeh's tokens end, no login
}


def name_of(path):
    """Return a file's name within the sources."""
    return path.relative_to(SOURCES).as_posix()


def imports_of(path):
    """Return what a file imports."""
    return re.findall(r"(?:from|^import) '([^']+)'", path.read_text("utf-8"), re.MULTILINE)


def code_of(path):
    """Return the lines of a file that are neither empty nor comments."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
    return [line for line in text.splitlines() if line.strip() and "//" not in line.split()[0]]


def test_every_folder_has_a_rule():
    """A new folder states what it may import."""
    assert {name_of(path).split("/")[0] for path in FILES} == set(FOLDERS)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports(path):
    """Files import their own folder, the folders below it, and the packages of their host."""
    folder = name_of(path).split("/")[0]
    for target in imports_of(path):
        if target.startswith("."):
            other = (path.parent / target).resolve().relative_to(SOURCES).parts[0]
            assert other in FOLDERS[folder] | {folder}, target
        else:
            assert target.startswith(PACKAGES.get(folder, ("no package",))), target


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_size(path):
    """No file is too long."""
    assert len(code_of(path)) <= MAX_CODE_LINES


def test_clock_rules_exist_once():
    """One file decides when a login ends, and when to warn."""
    found = {
        name_of(path) for path in FILES if any(CLOCK_RULES.search(line) for line in code_of(path))
    }
    assert found - MAY_TELL_TIME == set()
    assert "shared/login.ts" in found
