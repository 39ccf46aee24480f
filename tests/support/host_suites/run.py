"""Run the hosts' own test suites, without this package and with it, and compare.

    python run.py --venv .venv-suites [jupyter_server] [ipykernel]

The suites come from the hosts' source distributions, so this needs the package index. Tests that
fail only with this package loaded are listed, and the exit status is 1. A test that fails in both
runs lacks something on this machine, such as Tk.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
TOOLS = ("hatchling", "hatch-jupyter-builder", "pytest<9")
OPTIONS = ("-q", "-W", "ignore", "-o", "log_cli=false", "--no-showlocals", "--color=no")


@dataclass(frozen=True)
class Suite:
    """The tests of one host.

    Attributes:
        needs: What its tests need, besides its extra ``test``.
        options: Options of pytest that load this package.
        path: A folder for ``PYTHONPATH`` that loads this package.
        alone: Tests that cannot pass with any extension, with the reason.
    """

    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    path: str = ""
    alone: dict[str, str] = field(default_factory=dict)


SUITES = {
    "jupyter_server": Suite(
        options=("-p", "server_plugin"),
        path=str(HERE),
        alone={"test_stop_extension": "it wants no other extension than its own"},
    ),
    "ipykernel": Suite(
        needs=("flaky", "matplotlib", "pytest-asyncio", "pytest-timeout"),
        path=str(HERE / "in_kernels"),
    ),
}


def say(line: str) -> None:
    """Print a line at once: a suite takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Environment:
    """A virtual environment for the suites.

    Args:
        folder: Where it is; it is made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.python = folder.absolute() / "bin" / "python"
        if not self.python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)

    def pip(self, *arguments: str) -> None:
        """Run pip."""
        command = [str(self.python), "-m", "pip", *arguments, "-qq", "--disable-pip-version-check"]
        subprocess.run(command, check=True)

    def source(self, host: str, folder: Path) -> Path:
        """Download and unpack the source of the installed release."""
        asked = f"import importlib.metadata as m; print(m.version({host!r}))"
        version = subprocess.check_output([str(self.python), "-c", asked], text=True).strip()
        options = ("--no-deps", "--no-binary", ":all:", "--no-build-isolation")
        self.pip("download", f"{host}=={version}", *options, "--dest", str(folder))
        (archive,) = folder.glob(f"{host}-*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        say(f"== {host} {version}")
        return next(path for path in folder.iterdir() if path.is_dir())

    def failed(
        self, source: Path, suite: Suite, *options: str, loaded: bool
    ) -> tuple[set[str], int]:
        """Run the tests, with options of pytest; return those that failed, and how many ran."""
        report = source.parent / f"{'with' if loaded else 'without'}.xml"
        path = os.pathsep.join([suite.path, str(ROOT)]) if loaded else ""
        command = [str(self.python), "-m", "pytest", *OPTIONS, f"--junitxml={report}", "tests"]
        done = subprocess.run(
            [*command, *options, *(suite.options if loaded else ())],
            cwd=source,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if not report.exists():
            raise SystemExit(done.stdout[-3000:])
        cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest wrote it
        say(f"{'with' if loaded else 'without'} this package: {done.stdout.strip()[-80:]}")
        bad = {
            f"{case.get('classname')}::{case.get('name')}"
            for case in cases
            if case.find("failure") is not None or case.find("error") is not None
        }
        return bad, len(cases)


def compare(environment: Environment, host: str) -> bool:
    """Run one suite twice; return whether the package breaks no test."""
    suite = SUITES[host]
    environment.pip("install", f"{host}[test]", *suite.needs, *TOOLS)
    with tempfile.TemporaryDirectory() as folder:
        source = environment.source(host, Path(folder))
        before, count = environment.failed(source, suite, loaded=False)
        after, again = environment.failed(source, suite, loaded=True)
        # Some of these tests give a kernel 0.2 s: a busy machine fails them now and then.
        twice, _ = environment.failed(source, suite, "--last-failed", loaded=True)
    broken = sorted((after & twice) - before)
    for name in broken:
        reason = suite.alone.get(name.rpartition("::")[2], "")
        say(f"fails with this package: {name}{reason and f' ({reason})'}")
    unexpected = [name for name in broken if name.rpartition("::")[2] not in suite.alone]
    return not unexpected and count == again


def main() -> None:
    """Compare the suites."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, required=True, help="its folder")
    parser.add_argument("hosts", nargs="*", choices=[[], *SUITES], help="all by default")
    options = parser.parse_args()
    environment = Environment(options.venv)
    results = [compare(environment, host) for host in options.hosts or SUITES]
    raise SystemExit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
