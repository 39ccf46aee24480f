"""The planes of docs/architecture.md, and the sizes, as tests.

Everything is read from source text: a rule must hold for imports that never run here, too.
The facade's price is the exception: it is measured in an interpreter of its own.
"""

import ast
import importlib
import io
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = "jupyter_session_user"
MAX_FUNCTION_LINES = 50  # without the docstring
MAX_FILE_LINES = 300  # of code: no blank lines, comments, docstrings

# Hooks that other programs call by name: public, and not for people to import.
HOOKS = {"load_ipython_extension", "unload_ipython_extension"}

# What a pure module cannot want: input, output, clocks, chance, logs, and state.
# fmt: off
IMPURE = {
    "asyncio", "contextvars", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random",
    "secrets", "shutil", "signal", "socket", "sqlite3", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib.request", "uuid", "warnings",
}
# fmt: on
CLOCKS = {"now", "today", "utcnow"}


@dataclass(frozen=True)
class Plane:
    """One row of the table."""

    ours: str = ""
    third_party: str = ""
    #: Third-party imports may stand outside functions.
    at_top: bool = False


TABLE = {
    "errors": Plane(),
    "_version": Plane(),
    "core": Plane("errors"),
    "store": Plane("core errors"),
    "kernel": Plane("core errors", "IPython comm ipykernel"),
    "hosts": Plane("kernel core errors", "bokeh marimo panel param starlette streamlit tornado"),
    "banner": Plane("kernel core errors", "anywidget panel param traitlets"),
    "server": Plane(
        "core store errors _version",
        "jupyter_client jupyter_core jupyter_events jupyter_server tornado traitlets zmq",
        at_top=True,
    ),
    "tokens": Plane("core errors", "joserfc", at_top=True),
    "cli": Plane("*", "*", at_top=True),
    "testing": Plane("*", "*", at_top=True),
    "__main__": Plane("hosts"),
    "": Plane("*"),  # the facade
}
# Third parties that one file alone may import, anywhere in it.
OWN_FILE = {f"{NAME}.store.redis": {"redis"}}


@dataclass(frozen=True)
class Import:
    """One imported module, and where the statement stands."""

    target: str
    line: int
    in_function: bool
    typing_only: bool


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str
    text: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed text."""
        return ast.parse(self.text)

    @property
    def plane(self) -> str:
        """The module's row of the table."""
        return plane_of(self.name)

    @cached_property
    def imports(self) -> list[Import]:
        """Every import of the file, wherever it stands."""
        return list(self._walk(self.tree, in_function=False, typing_only=False))

    def _walk(self, node: ast.AST, *, in_function: bool, typing_only: bool) -> Iterator[Import]:
        for target in self._targets(node):
            yield Import(target, node.lineno, in_function, typing_only)
        in_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = node.body if is_type_checking(node) else []
        for child in ast.iter_child_nodes(node):
            only = typing_only or child in guarded
            yield from self._walk(child, in_function=in_function, typing_only=only)

    def _targets(self, node: ast.AST) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = self._absolute(node)
            # `from package import module` means the module.
            return [
                full if (full := f"{base}.{alias.name}") in NAMES else base for alias in node.names
            ]
        return dynamic_import(node)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parents = self.name.split(".")
        parents = parents[: len(parents) - node.level + self.is_package]
        return ".".join([*parents, *filter(None, [node.module])])


def is_type_checking(node: ast.AST) -> bool:
    """Whether type checkers alone read what is below."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def dynamic_import(node: ast.AST) -> list[str]:
    """Find ``import_module("x")`` and ``__import__("x")``."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
        ("import_module", "__import__")
    ):
        return [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
    return []


def plane_of(name: str) -> str:
    """Return the second part of a dotted name; the facade has none."""
    return name.partition(".")[2].partition(".")[0]


def read(path: Path) -> Module:
    """Read a source file, without importing it."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    return Module(
        ".".join(parts[:-1] if is_package else parts), path.read_text("utf-8"), is_package
    )


PATHS = sorted((ROOT / NAME).rglob("*.py"))
NAMES: set[str] = {read(path).name for path in PATHS}
MODULES = [read(path) for path in PATHS]
TESTS = [read(path) for path in sorted((ROOT / "tests").rglob("*.py"))]

each_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


def is_ours(target: str) -> bool:
    """Whether a module belongs to this package."""
    return target.partition(".")[0] == NAME


def is_third_party(target: str) -> bool:
    """Whether a module is neither ours nor Python's own."""
    return not is_ours(target) and target.partition(".")[0] not in sys.stdlib_module_names


def forbidden(module: Module) -> Iterator[str]:
    """Say what a module imports against the table."""
    row = TABLE[module.plane]
    for entry in module.imports:
        where = f"{module.name}:{entry.line} imports {entry.target}"
        top = entry.target.partition(".")[0]
        if is_ours(entry.target):
            allowed = {module.plane, *row.ours.split()}
            if not allowed & {plane_of(entry.target), "*"}:
                yield where
        elif is_third_party(entry.target) and top not in OWN_FILE.get(module.name, ()):
            if not {top, "*"} & set(row.third_party.split()):
                yield where
            elif not (row.at_top or entry.in_function or entry.typing_only):
                yield f"{where} outside a function"


def code_lines(text: str) -> int:
    """Count the lines that hold code: no blank lines, comments, docstrings."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    starts_statement = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in skipped:
            starts_statement |= token.type == tokenize.NEWLINE
            continue
        # A string that begins a statement is a docstring, or does nothing.
        if not (token.type == tokenize.STRING and starts_statement):
            lines.update(range(token.start[0], token.end[0] + 1))
        starts_statement = False
    return len(lines) - 1  # the end marker stands on a line of its own


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without its docstring."""
    docstring = node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0
    return node.end_lineno - node.lineno + 1 - docstring


@each_module
def test_every_module_belongs_to_a_plane(module):
    """No module stands outside the table, where no rule would reach it."""
    assert module.plane in TABLE


@each_module
def test_imports_obey_the_table(module):
    """Imports at the top, in functions, for typing alone or by name go where the table allows."""
    assert list(forbidden(module)) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("core.a", "import tornado"),
        ("core.a", "from jupyter_session_user.kernel import api"),
        ("core.a", "def f():\n    from ..server import extension"),
        ("core.a", "if TYPE_CHECKING:\n    from jupyter_session_user.store import base"),
        ("core.a", "import_module('jupyter_session_user.server')"),
        ("kernel.a", "import IPython"),
        ("kernel.a", "class A:\n    import ipykernel.comm"),
        ("kernel.a", "from jupyter_session_user import User"),
        ("hosts.a", "def f():\n    import jupyter_server"),
        ("store.memory", "def f():\n    import redis"),
        ("server.a", "import jupyter_session_user.kernel.api"),
    ],
)
def test_the_check_finds_a_wrong_import(name, text):
    """Each way to import against the table is seen, so that a green run means something."""
    assert len(list(forbidden(Module(f"{NAME}.{name}", text)))) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("core.a", "import json\nfrom . import b\nfrom ..errors import ProtocolError"),
        ("kernel.a", "def f():\n    import IPython"),
        ("kernel.a", "if TYPE_CHECKING:\n    import ipykernel"),
        ("store.redis", "import redis"),
        ("server.a", "from tornado import web"),
        ("testing.a", "import playwright, jupyter_session_user.server.extension"),
    ],
)
def test_the_check_allows_a_right_import(name, text):
    """What the table allows is not reported."""
    assert list(forbidden(Module(f"{NAME}.{name}", text))) == []


def test_no_import_cycles():
    """Modules can be read in an order where everything was met before, typing included."""
    graph = {module.name: {entry.target for entry in module.imports} & NAMES for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("module", [m for m in MODULES if m.plane == "core"], ids=lambda m: m.name)
def test_core_is_pure(module):
    """The core does no I/O, reads no clock, draws no chance, logs nothing and rebinds no global."""
    nodes = list(ast.walk(module.tree))
    calls = {ast.unparse(node.func).split(".")[-1] for node in nodes if isinstance(node, ast.Call)}
    assert {entry.target for entry in module.imports} & IMPURE == set()
    assert calls & (CLOCKS | {"open", "print", "input"}) == set()
    assert not any(isinstance(node, ast.Global) for node in nodes)


@pytest.mark.parametrize("flags", [["-I"], ["-I", "-S"]], ids=["installed", "bare Python"])
def test_importing_the_facade_loads_the_standard_library_alone(flags):
    """`import jupyter_session_user` costs no third-party module, and needs none."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); before = set(sys.modules)\n"
        f"import {NAME}; print(*set(sys.modules) - before)"
    )
    run = [sys.executable, *flags, "-c", code]
    loaded = subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()
    assert NAME in loaded
    assert [name for name in loaded if is_third_party(name)] == []
    assert [
        name for name in loaded if plane_of(name) in {"server", "store"} and is_ours(name)
    ] == []


def test_facade_exports_what_it_has():
    """`__all__` is sorted and lists every public name of the facade, and no other."""
    facade = next(module for module in MODULES if module.name == NAME)
    # What stands under TYPE_CHECKING there is loaded on first use.
    nodes = [
        node for top in facade.tree.body for node in (top.body if is_type_checking(top) else [top])
    ]
    public, exported = set(), []
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and is_ours(node.module or ""):
            public |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            public.add(node.name)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            exported = ast.literal_eval(node.value)
    assert exported == sorted(name for name in public - HOOKS if not name.startswith("_"))


def test_every_exported_name_is_there():
    """What `__all__` promises can be imported, also where the facade loads it on first use."""
    facade = importlib.import_module(NAME)
    assert [name for name in facade.__all__ if not hasattr(facade, name)] == []


@each_module
def test_every_module_says_what_it_is_for(module):
    """Each file, packages included, begins with a docstring."""
    assert ast.get_docstring(module.tree)


@each_module
def test_functions_are_short(module):
    """No function is longer than a screen."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(module.tree) if isinstance(node, functions)]
    too_long = {f.name: size for f in found if (size := function_lines(f)) > MAX_FUNCTION_LINES}
    assert too_long == {}


@each_module
def test_files_are_short(module):
    """No file holds more than one subject's worth of code."""
    assert code_lines(module.text) <= MAX_FILE_LINES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ('"""Doc\nstring."""\n\n# comment\n', 0),
        ("x = 1  # comment\n", 1),
        ('def f():\n    """Doc."""\n    return """a\n    b"""\n', 3),
        ("x = [\n    # comment\n    'a',\n]\n", 3),
    ],
)
def test_code_lines_counts_code_alone(text, expected):
    """The measure counts neither explanations nor air."""
    assert code_lines(text) == expected


@pytest.mark.parametrize("module", MODULES + TESTS, ids=lambda module: module.name)
def test_nothing_is_mocked(module):
    """Tests use fakes and real servers: a mock agrees with whatever the code does."""
    mocks = {entry.target for entry in module.imports if "mock" in entry.target.split(".")}
    names = {ast.unparse(node) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    assert mocks == set()
    assert "unittest.mock" not in names
