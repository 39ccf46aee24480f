"""The planes of docs/architecture.md and the sizes of files, as tests.

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

# Hooks that other programs call by name: public, but not for imports.
HOOKS = {"load_ipython_extension", "unload_ipython_extension"}

# What a pure module must not use: input, output, clocks, randomness, logs, and state.
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
    #: Whether third-party imports may stand outside functions.
    at_top: bool = False


TABLE = {
    "errors": Plane(),
    "upstream": Plane("errors"),
    "_version": Plane(),
    "core": Plane("errors"),
    "store": Plane("core errors"),
    "kernel": Plane("core errors upstream", "IPython comm ipykernel"),
    "hosts": Plane(
        "kernel core errors upstream",
        "asgiref bokeh django marimo panel param starlette streamlit tornado",
    ),
    "banner": Plane("kernel core errors", "anywidget panel param traitlets"),
    "server": Plane(
        "core store errors upstream tokens _version",
        "jinja2 jupyter_client jupyter_core jupyter_events jupyter_server packaging "
        "prometheus_client tornado traitlets zmq",
        at_top=True,
    ),
    "tokens": Plane("core errors", "filelock joserfc"),
    "cli": Plane("*", "*", at_top=True),
    "testing": Plane(
        "kernel core errors", "jinja2 jupyter_server pytest tornado traitlets", at_top=True
    ),
    "__main__": Plane("hosts errors"),
    "": Plane("*"),  # the facade
}
# The longest chain of imports within the kernel: a module is one floor above its imports.
MAX_KERNEL_FLOORS = 6
# The packages of the server: what each may import of the server. For typing alone it may name
# the context, too.
ROOMS = {
    "auth": "settings templates",
    "messages": "auth settings",
    "web": "auth messages settings templates",
}
# Third parties that one file alone may import, anywhere in it.
OWN_FILE = {
    f"{NAME}.store.redis": {"redis"},
    f"{NAME}.server.auth.resolvers.jwks": {"joserfc"},
    f"{NAME}.server.auth.postgres": {"psycopg"},
    f"{NAME}.server.auth.sealing": {"cryptography"},
    f"{NAME}.kernel.databases": {"psycopg"},
    # Bokeh loads the auth module, in a server that the Hub has started.
    f"{NAME}.hosts.jupyterhub_auth": {"jupyterhub"},
}


@dataclass(frozen=True)
class Import:
    """One imported module, and the place of the statement."""

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
        """Every import of the file, at any place."""
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
    """Tell whether only type checkers read the code below."""
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
    """Tell whether a module belongs to this package."""
    return target.partition(".")[0] == NAME


def is_third_party(target: str) -> bool:
    """Tell whether a module belongs to neither this package nor Python."""
    return not is_ours(target) and target.partition(".")[0] not in sys.stdlib_module_names


def forbidden(module: Module) -> Iterator[str]:
    """Return the imports of a module that the table forbids."""
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
    """Every module is in the table, so each has its rules."""
    assert module.plane in TABLE


@each_module
def test_imports_obey_the_table(module):
    """Imports at the top, in functions, for typing or by name are those that the table allows."""
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
    """The check finds each kind of forbidden import, so a green run has a meaning."""
    assert len(list(forbidden(Module(f"{NAME}.{name}", text)))) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("core.a", "import json\nfrom . import b\nfrom ..errors import ProtocolError"),
        ("kernel.a", "def f():\n    import IPython"),
        ("kernel.a", "if TYPE_CHECKING:\n    import ipykernel"),
        ("store.redis", "import redis"),
        ("server.a", "from tornado import web"),
        ("testing.a", "import traitlets, jupyter_server.auth.identity"),
    ],
)
def test_the_check_allows_a_right_import(name, text):
    """The check does not report imports that the table allows."""
    assert list(forbidden(Module(f"{NAME}.{name}", text))) == []


def room_of(name: str) -> str:
    """Return the part of the server that a module belongs to; empty outside the server."""
    parts = name.split(".")
    return parts[2] if parts[:2] == [NAME, "server"] and len(parts) > 2 else ""


def across(module: Module) -> Iterator[str]:
    """Return the imports of a module that the order of the server's packages forbids."""
    room = room_of(module.name)
    for entry in module.imports if room in ROOMS else ():
        other = room_of(entry.target)
        typing_alone = entry.typing_only and other == "context"
        if other and other not in {room, *ROOMS[room].split()} and not typing_alone:
            yield f"{module.name}:{entry.line} imports {entry.target}"


@each_module
def test_the_rooms_of_the_server(module):
    """Imports go from ``web`` to ``messages`` to ``auth``, and never back."""
    assert list(across(module)) == []


def test_the_check_of_rooms_finds_a_wrong_import():
    """The check finds an import in the other direction; typing may name the context."""
    context = f"from {NAME}.server.context import ServerContext"
    back = f"from {NAME}.server.web import api"
    assert len(list(across(Module(f"{NAME}.server.auth.a", back)))) == 1
    assert len(list(across(Module(f"{NAME}.server.web.a", context)))) == 1
    typing = f"if TYPE_CHECKING:\n    {context}"
    assert list(across(Module(f"{NAME}.server.web.a", typing))) == []


def test_no_import_cycles():
    """Modules have an order without forward imports, typing included: there is no cycle."""
    graph = {module.name: {entry.target for entry in module.imports} & NAMES for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def test_the_kernel_has_few_floors():
    """The chain of imports in the kernel is short."""
    kernel = {m.name: m for m in MODULES if m.plane == "kernel"}

    def floor(name: str) -> int:
        below = {entry.target for entry in kernel[name].imports} & kernel.keys()
        return 1 + max(map(floor, below), default=0)

    assert max(map(floor, kernel)) <= MAX_KERNEL_FLOORS


@pytest.mark.parametrize("module", [m for m in MODULES if m.plane == "core"], ids=lambda m: m.name)
def test_core_is_pure(module):
    """The core has no I/O, clock, randomness, log, or changing global."""
    nodes = list(ast.walk(module.tree))
    calls = {ast.unparse(node.func).split(".")[-1] for node in nodes if isinstance(node, ast.Call)}
    assert {entry.target for entry in module.imports} & IMPURE == set()
    assert calls & (CLOCKS | {"open", "print", "input"}) == set()
    assert not any(isinstance(node, ast.Global) for node in nodes)


@pytest.mark.parametrize("flags", [["-I"], ["-I", "-S"]], ids=["installed", "bare Python"])
def test_importing_the_facade_loads_the_standard_library_alone(flags):
    """`import jupyter_session_user` loads no third-party module, and needs none."""
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
    """All names of `__all__` can be imported, also those that the facade loads on first use."""
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
    """No file has too many lines of code."""
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
    """The measure counts neither comments nor blank lines."""
    assert code_lines(text) == expected


@pytest.mark.parametrize("module", MODULES + TESTS, ids=lambda module: module.name)
def test_nothing_is_mocked(module):
    """Tests use fakes and real servers: a mock agrees with any behaviour of the code."""
    mocks = {entry.target for entry in module.imports if "mock" in entry.target.split(".")}
    names = {ast.unparse(node) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    assert mocks == set()
    assert "unittest.mock" not in names
