"""Real kernels and their users: each user has a ZMQ identity and a stamp.

There is no server here: a :class:`Person` puts the server's stamp into the metadata of every
message. The kernel's answers are read by message id, so that two users' cells can run at once. A
cell that has to wait calls ``input()``, and the test answers.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from logins import Clocks, login_of

from jupyter_session_user.core.protocol import (
    COMM_ID_PREFIX,
    REPLY_TYPE,
    UPDATE_TYPE,
    Request,
    Update,
)
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import KEY, SERVER_STAMP, session_stamp
from jupyter_session_user.core.user import User
from jupyter_session_user.kernel import status
from jupyter_session_user.kernel.status import SessionStatuses

TIMEOUT_S = 30.0
CHECKOUT = Path(__file__).parents[2]

#: Helpers for every test on the shared kernel. ``naive`` is the obvious implementation.
PRELUDE = '''
import asyncio, contextvars, threading
from concurrent.futures import Future, ThreadPoolExecutor
from tornado.ioloop import IOLoop, PeriodicCallback
from jupyter_session_user import *

def who():
    """Name the user, or say why nobody can be named."""
    try:
        return get_current_user().username
    except IdentityUnavailable as error:
        return error.reason

def naive():
    parent = get_ipython().kernel.get_parent()
    return parent["metadata"]["jupyter_session_user"]["user"]["username"]

class Job:
    """A function that somebody runs after ``gate`` is open, and its result."""

    def __init__(self, function):
        self.function, self.gate, self.done = function, threading.Event(), Future()

    def __call__(self):
        self.gate.wait(30)
        self.finish()

    def finish(self):
        try:
            self.done.set_result(self.function())
        except BaseException as error:
            self.done.set_exception(error)

    async def run(self):
        while not self.gate.is_set():
            await asyncio.sleep(0.001)
        self.finish()

    def tick(self):
        """Run when the gate is open; else look again soon, from the same context."""
        if self.gate.is_set():
            self.finish()
        else:
            asyncio.get_running_loop().call_later(0.001, self.tick)

    async def open(self):
        self.gate.set()
        return await asyncio.wrap_future(self.done)
'''


def stamp_of(username: str, *, verified: bool = True, **user: Any) -> dict[str, Any]:
    """Return the stamp that a server would put on this user's messages."""
    person = f"person-{username}"
    session = Session(
        f"session-of-{username}",
        User(username, **user),
        "test",
        verified=verified,
        principal=person,
    )
    return json.loads(session_stamp(session))


class Result:
    """The outcome of a message.

    Attributes:
        reply: Content of the reply; empty for messages that get none.
        output: The iopub messages, in their order.
    """

    def __init__(self, reply: dict[str, Any], output: list[dict[str, Any]]) -> None:
        self.reply = reply
        self.output = output

    @property
    def stdout(self) -> str:
        """The printed output."""
        return "".join(content["text"] for content in self._all("stream"))

    @property
    def shown(self) -> dict[str, str]:
        """The MIME bundle that was displayed first."""
        return self._all("execute_result", "display_data")[0]["data"]

    @property
    def value(self) -> Any:
        """The cell's value, which must be a literal."""
        assert self.reply["status"] == "ok", "\n".join(self.reply["traceback"])
        return ast.literal_eval(self.shown["text/plain"])

    def _all(self, *kinds: str) -> list[dict[str, Any]]:
        return [message["content"] for message in self.output if message["msg_type"] in kinds]


class Person:
    """A client with its own ZMQ identity. Its messages carry one stamp, or none."""

    def __init__(self, manager: KernelManager, stamp: Any) -> None:
        session = manager.session.clone()
        session.session = uuid.uuid4().hex  # the ZMQ identity; km.client() alone would share one
        session.metadata = {} if stamp is None else {KEY: stamp}
        self.client = manager.client(session=session)
        self.client.start_channels(hb=False)
        self.client.wait_for_ready(timeout=TIMEOUT_S)
        self._output: dict[str, list[dict[str, Any]]] = {}
        self._replies: dict[str, dict[str, Any]] = {}

    def close(self) -> None:
        """Leave the kernel."""
        self.client.stop_channels()

    def send(
        self, msg_type: str, content: dict[str, Any], channel: str = "shell", **header: Any
    ) -> str:
        """Send a message and return its id; ``header`` holds further header fields."""
        message = self.client.session.msg(msg_type, content)
        message["header"].update(header)
        getattr(self.client, f"{channel}_channel").send(message)
        return message["header"]["msg_id"]

    def start(self, code: str, user_expressions: Any = None, **header: Any) -> str:
        """Send a cell and return its message id."""
        content = {
            "code": code,
            "silent": False,
            "store_history": False,
            "user_expressions": user_expressions or {},
            "allow_stdin": True,
            "stop_on_error": False,
        }
        return self.send("execute_request", content, **header)

    def run(self, code: str, user_expressions: Any = None) -> Result:
        """Run a cell to its end."""
        return self.result(self.start(code, user_expressions))

    def ask(self, msg_type: str, content: dict[str, Any], channel: str = "shell") -> Result:
        """Send a request and wait for its reply."""
        return self.result(self.send(msg_type, content, channel), channel)

    def comm(self, comm_id: str, data: dict[str, Any]) -> None:
        """Send a comm message, as a widget's view does, and wait until it is handled."""
        self.settle(self.send("comm_msg", {"comm_id": comm_id, "data": data}))

    def result(self, msg_id: str, channel: str = "shell") -> Result:
        """Wait for everything that belongs to a message."""
        return Result(self.reply(msg_id, channel), self.settle(msg_id))

    def reply(self, msg_id: str, channel: str = "shell") -> dict[str, Any]:
        """Wait for the reply alone; output of the message may be under way, or misfiled."""
        while msg_id not in self._replies:
            reply = getattr(self.client, f"get_{channel}_msg")(timeout=TIMEOUT_S)
            self._replies[reply["parent_header"].get("msg_id")] = reply["content"]
        return self._replies.pop(msg_id)

    def settle(self, msg_id: str) -> list[dict[str, Any]]:
        """Wait until the kernel is idle again after a message; return its output."""
        mine = self._output.setdefault(msg_id, [])
        while not (mine and mine[-1]["content"].get("execution_state") == "idle"):
            message = self.client.get_iopub_msg(timeout=TIMEOUT_S)
            parent = message["parent_header"].get("msg_id")
            self._output.setdefault(parent, []).append(message)
        return self._output.pop(msg_id)

    def printed_later(self, msg_id: str, text: str) -> str:
        """Wait until a message that is done with has printed ``text``; return all it printed."""
        printed = ""
        while text not in printed:
            message = self.client.get_iopub_msg(timeout=TIMEOUT_S)
            is_output = message["msg_type"] == "stream"
            if is_output and message["parent_header"].get("msg_id") == msg_id:
                printed += message["content"]["text"]
        return printed

    def until_input(self) -> None:
        """Wait until the cell asks for input: it is under way, and it waits."""
        self.client.get_stdin_msg(timeout=TIMEOUT_S)

    def answer(self) -> None:
        """Let the cell continue that asked for input."""
        self.client.input("")


class ServerEnd(Person):
    """Speaks the server's part on the comm."""

    def next_request(self, *, watch: bool = False) -> tuple[str, Request]:
        """Wait for the kernel's next question; return the comm's id and the question.

        Args:
            watch: Whether to wait for the request for updates, or for any other.
        """
        while True:
            content = self.client.get_iopub_msg(timeout=TIMEOUT_S)["content"]
            if content.get("comm_id", "").startswith(COMM_ID_PREFIX) and content["data"]:
                request = Request.from_wire(content["data"])
                if (request.operation == "watch") is watch:
                    return content["comm_id"], request

    def tell(self, event: str, session: Session) -> float:
        """Send an update, and wait until the kernel has taken it; return the time of sending."""
        sent_at = time.time()
        self.settle(self.send(UPDATE_TYPE, Update(event, session).to_wire(), "control"))
        return sent_at

    def send_answer(self, comm_id: str, data: dict[str, Any]) -> None:
        """Answer on the control channel."""
        self.send(REPLY_TYPE, {"comm_id": comm_id, "data": data}, "control")


class Kernel:
    """A kernel process of the tests, and its clients."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], env: dict[str, str]) -> None:
        specs = KernelSpecManager(kernel_dirs=[])  # this ipykernel, no other kernelspec
        self.manager = KernelManager(
            kernel_name="python3",
            kernel_spec_manager=specs,
            connection_file=str(folder / "connection.json"),
        )
        self._people = ExitStack()
        self.manager.start_kernel(extra_arguments=list(arguments), env=env)

    def person(self, username: str, **details: Any) -> Person:
        """Connect a user with messages that the server stamped."""
        return self.client(stamp_of(username, **details))

    def login(self, username: str, **fields: Any) -> Person:
        """Connect a user with a session of these fields."""
        return self.client(json.loads(session_stamp(login_of(username, **fields))))

    def client(self, stamp: Any = None) -> Person:
        """Connect a client with any stamp; by default with none, as if it bypassed the server."""
        return self._let_in(Person(self.manager, stamp))

    def server(self) -> ServerEnd:
        """Connect the server's own client."""
        return self._let_in(ServerEnd(self.manager, json.loads(SERVER_STAMP)))

    def restart(self) -> None:
        """Start the process again; all clients have to connect again."""
        self._people.close()
        self.manager.restart_kernel(now=True)

    def stop(self) -> None:
        """Kill this kernel's process, by its id."""
        self._people.close()
        self.manager.shutdown_kernel(now=True)

    def _let_in(self, person: Any) -> Any:
        self._people.callback(person.close)
        return person


@pytest.fixture
def clocks(monkeypatch) -> Clocks:
    """Stop the clocks of the session states."""
    stopped = Clocks()
    monkeypatch.setattr(status, "time", stopped)
    return stopped


@pytest.fixture
def known(monkeypatch) -> SessionStatuses:
    """A new collection of session states for live sessions."""
    fresh = SessionStatuses()
    monkeypatch.setattr("jupyter_session_user.kernel.live_session.statuses", fresh)
    return fresh


@pytest.fixture(scope="session")
def ipykernel() -> tuple[int, ...]:
    """Major and minor version of the ipykernel under test."""
    return tuple(int(part) for part in version("ipykernel").split(".")[:2])


@pytest.fixture(scope="session")
def kernel_env(tmp_path_factory) -> dict[str, str]:
    """Environment of a process that reads and writes nothing of this machine's Jupyter."""
    folder = tmp_path_factory.mktemp("home")
    names = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("JPY_")}
    private = {name: str(folder / name.lower()) for name in names}
    for path in private.values():
        Path(path).mkdir()
    quiet = {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "JUPYTER_PLATFORM_DIRS": "1"}
    return {**inherited, **private, **quiet, "PYTHONPATH": str(CHECKOUT)}


@pytest.fixture(scope="session")
def kernel(tmp_path_factory, kernel_env):
    """A kernel that several users share, for tests that leave it as they found it."""
    shared = Kernel(tmp_path_factory.mktemp("shared"), (), kernel_env)
    yield shared
    shared.stop()


@pytest.fixture(scope="session")
def alice(kernel) -> Person:
    """The first user on the shared kernel, in which the package is loaded."""
    person = kernel.person("alice", groups=("finance",))
    assert person.run(PRELUDE).reply["status"] == "ok"
    assert person.run("who()").value == "alice"
    return person


@pytest.fixture(scope="session")
def bob(kernel, alice) -> Person:
    """The second user on the shared kernel."""
    return kernel.person("bob", groups=("sales",))


@pytest.fixture
def new_kernel(tmp_path, kernel_env):
    """Start a kernel in which the package is not yet imported."""
    with ExitStack() as stack:

        def start(*arguments: str, **env: str) -> Kernel:
            fresh = Kernel(tmp_path, arguments, {**kernel_env, **env})
            stack.callback(fresh.stop)
            return fresh

        yield start


@pytest.fixture
def python(kernel_env, tmp_path):
    """Run Python in a separate process and return its output."""

    def run(*arguments: str, **env: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**kernel_env, **env},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S * 2,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
