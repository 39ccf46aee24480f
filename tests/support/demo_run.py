"""Runs ``jupyter session-user demo`` as its users do, and ends it as Ctrl-C does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

__all__ = ["COMMAND", "RunningDemo", "demo_running"]

COMMAND = (sys.executable, "-m", "jupyter_session_user.cli.main", "demo")
_STOP_S = 60.0


@dataclass
class RunningDemo:
    """A demo that shows its page.

    Attributes:
        page: The address of the page, with the key.
        home: The demo's private directory.
        process: The command's process.
        said: What the command printed until its end.
    """

    page: str
    home: Path
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The server's base address."""
        parts = urlsplit(self.page)
        return f"{parts.scheme}://{parts.netloc}/"

    @property
    def key(self) -> str:
        """The key of the address."""
        return parse_qs(urlsplit(self.page).query)["key"][0]

    def stop(self, number: int = signal.SIGINT) -> int:
        """End the command, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.said.append(self.process.communicate(timeout=_STOP_S)[0])
        return self.process.returncode


@contextmanager
def demo_running(
    temporary: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> Iterator[RunningDemo]:
    """Run the demo for the block.

    Args:
        temporary: An empty directory, for the demo's own.
        arguments: Command line.
        env: Environment variables on top of this process's.
    """
    process = subprocess.Popen(
        [*COMMAND, "--no-browser", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary), **(env or {})},
        # A shell starts background jobs, and so these tests, with Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        said = []
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            found = re.search(r"http://\S+key=\S+", line)
            if found:
                break
        else:
            raise AssertionError("".join(said))
        (home,) = temporary.glob("jupyter-session-user-demo-*")
        demo = RunningDemo(found[0], home, process, said)
        yield demo
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=_STOP_S)
        process.stdout.close()
