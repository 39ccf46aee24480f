"""The fixture ``session_user``.

A project's ``conftest.py`` has ``pytest_plugins = ["jupyter_session_user.testing.pytest_plugin"]``.
It does no harm beside the entry point ``pytest11``, which is another module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from jupyter_session_user.kernel.live_session import LiveSession
from jupyter_session_user.testing.fake import fake_user

__all__ = ["session_user"]


@pytest.fixture
def session_user() -> Iterator[Callable[..., LiveSession]]:
    """Return a function that makes up the current user for the rest of the test.

    It takes the arguments of ``fake_user``, and returns the session. A test calls it itself, so the
    user is set in the test's own context: an asynchronous test runs in another than its fixtures.
    """
    with ExitStack() as blocks:

        def enter(username: str, **details: Any) -> LiveSession:
            return blocks.enter_context(fake_user(username, **details))

        yield enter
