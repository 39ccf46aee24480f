"""The entry point of pytest: the fixture ``session_user`` in each project, at next to no cost.

It stands outside of the package ``jupyter_session_user``, whose import loads asyncio and prepares
the hosts. pytest imports this module at every start, and the package only for a test that uses the
fixture. A fixture of the same name in a project takes precedence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jupyter_session_user import Session

__all__ = ["session_user"]


@pytest.fixture
def session_user() -> Iterator[Callable[..., Session]]:
    """Return a function that makes up the current user for the rest of the test.

    It takes the arguments of ``jupyter_session_user.testing.fake_user``, and returns the session.
    """
    from jupyter_session_user.testing.fake import fake_user  # noqa: PLC0415 - see above

    with ExitStack() as blocks:

        def enter(username: str, **details: Any) -> Session:
            return blocks.enter_context(fake_user(username, **details))

        yield enter
