"""The obvious implementation names the wrong user; this package does not.

``naive`` is ``kernel.get_parent()["metadata"]["jupyter_session_user"]["user"]["username"]``.
Each test first shows it wrong, in the very place where ours is then right, or silent.
"""

from __future__ import annotations

import pytest

BOTH = "lambda: (naive(), who())"
#: Code that ipykernel 6 runs as the sender of the latest message.
ON_THE_LOOP = {
    "task": "task = asyncio.ensure_future(job.run())",
    "call_later": "asyncio.get_running_loop().call_later(0.001, job.tick)",
    "to_thread": "task = asyncio.ensure_future(asyncio.to_thread(job))",
}
THREADS = {
    "Thread": "threading.Thread(target=work).start()",
    "Timer": "threading.Timer(0, work).start()",
    "ThreadPoolExecutor": "ThreadPoolExecutor(1).submit(work)",
    "run_in_executor": "asyncio.get_running_loop().run_in_executor(None, work)",
}


@pytest.fixture
def threads_follow_the_last_speaker(ipykernel):
    """Skip where ``get_parent`` raises in a thread: 7.0, fixed into the wrong name in 7.1."""
    if ipykernel == (7, 0):
        pytest.skip("get_parent() raises LookupError in threads of ipykernel 7.0")


@pytest.fixture
def tasks_follow_the_last_speaker(ipykernel):
    """Skip where ``get_parent`` is right in tasks."""
    if ipykernel >= (7,):
        pytest.skip("get_parent() is a ContextVar of its own on ipykernel 7")


@pytest.mark.parametrize("start", THREADS.values(), ids=THREADS.keys())
def test_thread(alice, bob, threads_follow_the_last_speaker, start):
    """In Alice's thread ``get_parent`` names Bob; the package raises, or names Alice if bound."""
    alice.run(f"work = job = Job({BOTH}); {start}")
    assert bob.run("await job.open()").value == ("bob", "no_context")
    alice.run(f"job = Job({BOTH}); work = bind_current_user(job); {start}")
    assert bob.run("await job.open()").value == ("bob", "alice")


@pytest.mark.parametrize("start", ON_THE_LOOP.values(), ids=ON_THE_LOOP.keys())
def test_task_on_ipykernel_6(alice, bob, tasks_follow_the_last_speaker, start):
    """In Alice's task ``get_parent`` of ipykernel 6 names Bob; the package names Alice."""
    alice.run(f"job = Job({BOTH}); {start}")
    assert bob.run("await job.open()").value == ("bob", "alice")


def test_hook_of_cells_misses_completions(alice, bob):
    """At Bob's Tab, an IPython hook names the sender of the last cell, which is not Bob."""
    alice.run("def note(): global last; last = who()")
    alice.run("get_ipython().events.register('pre_execute', note)")
    alice.run(
        "both = []\nclass Lazy:\n    def __dir__(self): both.append((last, who())); return []\n"
        "lazy = Lazy()"
    )
    bob.ask("complete_request", {"code": "lazy.", "cursor_pos": 5})
    alice.run("get_ipython().events.unregister('pre_execute', note)")
    assert set(alice.run("both").value) == {("alice", "bob")}
