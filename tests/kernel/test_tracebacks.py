"""The traceback of an error in a cell has the user's own lines, and no frame of the machinery."""

from __future__ import annotations

import re

import pytest

ANSI = re.compile(r"\x1b\[[0-9;]*m")
EXECUTOR = "def work():\n    return get_current_user()\nThreadPoolExecutor(1).submit(work).result()"
TASK = """
import contextvars
async def work():
    return get_session()
await asyncio.create_task(work(), context=contextvars.Context())
"""
#: Cells that fail, and the lines of theirs that a reader wants to see.
CELLS = {
    "executor": (EXECUTOR, ["submit(work)", "return get_current_user()"]),
    "denied": ("with require_user(groups='board'):\n    pass", ["with require_user"]),
    "decorated": (
        "@require_user(groups='board')\ndef vote():\n    pass\nvote()",
        ["vote()"],
    ),
    "task": (TASK, ["return get_session()"]),
}


def shown(person, code: str) -> str:
    """Return the traceback of a cell that fails, without colours."""
    reply = person.run(code).reply
    assert reply["status"] == "error"
    return ANSI.sub("", "\n".join(reply["traceback"]))


@pytest.mark.parametrize("name", CELLS)
def test_only_the_users_lines(alice, bob, name):
    """Each user sees the own lines and the message; the obvious traceback has frames of ours."""
    if name == "task" and alice.run("import sys; sys.version_info < (3, 11)").value:
        pytest.skip("create_task takes a context since Python 3.11")
    code, lines = CELLS[name]
    for person in (alice, bob):
        text = shown(person, code)
        assert all(line in text for line in lines), text
        for frame in ("jupyter_session_user/", "concurrent/futures", "ipykernel/", "asyncio/"):
            assert frame not in text
        assert len(text.splitlines()) <= 24, text


def test_the_message_is_the_last_line(alice, bob):
    """The traceback ends with the error, whose text ends with the fix."""
    for person in (alice, bob):
        last = shown(person, EXECUTOR).splitlines()[-1]
        assert last.startswith("IdentityUnavailable: ") and last.endswith("asyncio.to_thread(fn).")


def test_an_error_of_a_guarded_function_is_the_functions_own(alice, bob):
    """A frame of the decorators does not stand between the call and the function's own error."""
    code = "@bind_current_user\n@require_user\ndef half(n):\n    return 1 / n\nhalf(0)"
    for person in (alice, bob):
        text = shown(person, code)
        assert "return 1 / n" in text and "ZeroDivisionError" in text
        assert "jupyter_session_user/" not in text


def test_the_readers_format_counts(alice, bob):
    """``%xmode Minimal`` applies to these errors, too."""
    alice.run("%xmode Minimal")
    try:
        for person in (alice, bob):
            assert len(shown(person, EXECUTOR).splitlines()) == 1
    finally:
        alice.run("%xmode Context")


def test_plain_python(python):
    """Outside IPython the error comes from ``get_current_user`` itself."""
    code = (
        "import traceback, jupyter_session_user as j\n"
        "try: j.get_current_user()\n"
        "except j.IdentityUnavailable as error:\n"
        "    print(len(traceback.extract_tb(error.__traceback__)))"
    )
    assert python("-c", code) == "2"  # the caller's line, and the function
