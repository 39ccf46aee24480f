"""jupyter-ai: cells that a persona runs for the user whose page sent the message.

Each client of a chat chooses the name of the sender, so that name counts for nothing. The user is
that of the websocket, or the request, that delivered the message, and the persona is the actor.

A context variable alone would name the wrong user. A task that a persona starts for one user's
message inherits the context, and may later work for all users: the connection to a subprocess, the
worker of a queue. So a message counts in the one task that answers it, and in no other. Code in
other tasks and in threads has no user.

Four methods and a queue's handler are wrapped; the packages have no public hook:

=====================================  ===========================================================
``WSChatHandler.on_message``           a chat on a websocket of its own: the handler is the sender
``YRoom.handle_message``               a chat in a shared document: so is the client's websocket
``MessageHandler.post``                ``POST api/ai/message``
``PersonaManager.on_chat_message``     starts the task that answers
``BasePersona.on_message``             is that task
=====================================  ===========================================================
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.actor import MAX_NAME
from jupyter_session_user.core.agent_credential import SCOPES, AgentWish
from jupyter_session_user.server.auth.agents import is_personal
from jupyter_session_user.server.auth.origin import sent_for
from jupyter_session_user.upstream import MARK

if TYPE_CHECKING:
    import logging

    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.server.auth.agents import Agent, Agents
    from jupyter_session_user.server.auth.capture import Capture
    from jupyter_session_user.server.auth.logins import Logins
    from jupyter_session_user.store.base import Record

__all__ = ["Personas"]

_VIA = "persona"
_NAMELESS = "persona"


@dataclass(eq=False)
class _Delivery:
    """A message on its way to a persona.

    Attributes:
        handler: The websocket or request that delivered it.
        task: The task that delivers it, or the one that answers it; None until that one runs.
    """

    handler: JupyterHandler
    task: asyncio.Task[Any] | None


#: The message that this task delivers.
_delivering: ContextVar[_Delivery | None] = ContextVar(
    "jupyter_session_user.delivering", default=None
)
#: The message that the task which is being started answers.
_handed_on: ContextVar[_Delivery | None] = ContextVar(
    "jupyter_session_user.handed_on", default=None
)


class Personas:
    """Attributes the cells of personas.

    Args:
        capture: Finds the session of a websocket or request.
        logins: The logins of this server.
        agents: Gets an agent for each persona that works for a login.
        log: Gets a warning if a package cannot be wrapped. Its cells then have no user.
    """

    def __init__(
        self, capture: Capture, logins: Logins, agents: Agents, log: logging.Logger
    ) -> None:
        self._capture = capture
        self._logins = logins
        self._agents = agents
        self._log = log
        #: By the login and the persona.
        self._at_work: dict[tuple[str, str], Agent] = {}

    def watch(self) -> bool:
        """Wrap the packages that are loaded; return whether there is a persona manager."""
        doors = (
            ("jupyterlab_chat.websocket_handler", "WSChatHandler", "on_message", _by_handler),
            ("jupyter_server_documents.rooms.yroom", "YRoom", "handle_message", _by_client),
            ("jupyter_ai_persona_manager.handlers", "MessageHandler", "post", _by_handler),
            (
                *("jupyter_ai_persona_manager.persona_manager", "PersonaManager"),
                *("on_chat_message", _handing_on),
            ),
            (
                *("jupyter_ai_persona_manager.base_persona", "BasePersona"),
                *("on_message", self._answering),
            ),
        )
        wrapped = [self._wrap(*door) for door in doors]
        return wrapped[-1]

    def _wrap(self, module: str, owner: str, name: str, make: Callable[[Any], Any]) -> bool:
        if module not in sys.modules:
            return False
        cls = getattr(sys.modules[module], owner, None)
        method = getattr(cls, name, None)
        if method is None:
            self._log.warning(
                "This release of %s has no %s.%s: cells of its personas have no user",
                *(module.partition(".")[0], owner, name),
            )
            return False
        # An earlier server in this process may have wrapped it: tests start several servers.
        original = method.__wrapped__ if hasattr(method, MARK) else method
        wrapped = functools.wraps(original)(make(original))
        setattr(wrapped, MARK, True)
        setattr(cls, name, wrapped)
        return True

    def _answering(self, on_message: Any) -> Any:
        """Wrap ``BasePersona.on_message``."""

        async def answered(persona: Any, *args: Any, **kwargs: Any) -> Any:
            delivery = _taken()
            agent = None if delivery is None else self._agent(delivery.handler, persona)
            sender = self._sender(delivery, agent) if delivery and agent else None
            with sent_for(sender, _VIA):
                return await on_message(persona, *args, **kwargs)

        return answered

    def _sender(self, delivery: _Delivery, agent: Agent) -> Callable[[str | None], Record | None]:
        """Return a function that finds the session of what the persona sends."""

        def sender(kernel_id: str | None) -> Record | None:
            if delivery.task is None or _task() is not delivery.task:
                return None
            return self._capture.session_of_agent(delivery.handler, agent.login, kernel_id)

        return sender

    def _agent(self, handler: JupyterHandler, persona: Any) -> Agent | None:
        """Return the persona as an agent of the handler's user; None if it may not be one."""
        record = self._capture.session_of(handler, None)
        known = None if record is None else self._logins.get(record.key)
        if record is None or known is None or self._logins.over(known.key) is not None:
            return None
        if not self._agents.longest or not is_personal(record):
            return None
        which = (known.key, str(persona.id))
        agent = self._at_work.get(which)
        if agent is None or not self._agents.is_at_work(agent):
            self._forget_ended()
            wish = AgentWish(_name_of(persona), self._agents.longest, SCOPES)
            shown = self._capture.login(handler)
            # Nobody gets the token: the server itself acts.
            agent, _ = self._agents.grant(known, shown, wish, verified=False)
            self._at_work[which] = agent
        return agent

    def _forget_ended(self) -> None:
        valid = {agent.key for agent in self._agents.of(None)}
        self._at_work = {
            which: agent for which, agent in self._at_work.items() if agent.key in valid
        }


def _by_handler(method: Any) -> Any:
    """Wrap a method of the handler that delivers the message."""

    async def delivered(handler: Any, *args: Any, **kwargs: Any) -> Any:
        with _delivered_by(handler):
            return await method(handler, *args, **kwargs)

    return delivered


def _by_client(handle_message: Any) -> Any:
    """Wrap ``YRoom.handle_message``: one task handles the messages of all clients of a room."""

    async def delivered(room: Any, client_id: str, *args: Any, **kwargs: Any) -> Any:
        clients = room.clients.get_all(synced_only=False)
        handler = next((one.websocket for one in clients if one.id == client_id), None)
        with _delivered_by(handler):
            return await handle_message(room, client_id, *args, **kwargs)

    return delivered


def _handing_on(on_chat_message: Any) -> Any:
    """Wrap ``PersonaManager.on_chat_message``, which starts a task for at most one persona."""

    def handed_on(*args: Any, **kwargs: Any) -> Any:
        delivery = _delivered_here()
        token = _handed_on.set(None if delivery is None else _Delivery(delivery.handler, None))
        try:
            return on_chat_message(*args, **kwargs)
        finally:
            _handed_on.reset(token)

    return handed_on


@contextmanager
def _delivered_by(handler: Any) -> Iterator[None]:
    delivery = None if handler is None else _Delivery(handler, _task())
    token = _delivering.set(delivery)
    try:
        yield
    finally:
        _delivering.reset(token)


def _delivered_here() -> _Delivery | None:
    """Return the message that this very task delivers; None in a task that it has started."""
    delivery = _delivering.get()
    return delivery if delivery is not None and delivery.task is _task() else None


def _taken() -> _Delivery | None:
    """Return the message that this task answers, which no other task can take after it."""
    delivery = _handed_on.get()
    if delivery is None:
        return _delivered_here()
    if delivery.task is not None:
        return None
    delivery.task = _task()
    return delivery


def _task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # a thread without an event loop
        return None


def _name_of(persona: Any) -> str:
    """Return the persona's name as that of an actor."""
    text = "".join(char for char in str(persona.name) if char.isprintable())
    return text[:MAX_NAME].strip() or _NAMELESS
