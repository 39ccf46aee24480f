"""Wires what the server gives kernels about their users: tokens and database logins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_server.gateway.managers import GatewayMappingKernelManager

from jupyter_session_user.server.auth.databases import databases
from jupyter_session_user.server.auth.exchanging import Asking, access_tokens
from jupyter_session_user.server.auth.identity_tokens import IdentityTokens, identity_tokens

if TYPE_CHECKING:
    import logging

    from jupyter_client.multikernelmanager import MultiKernelManager

    from jupyter_session_user.server.auth.consents import Consents
    from jupyter_session_user.server.auth.logins import Logins
    from jupyter_session_user.server.messages.bridge import Bridge
    from jupyter_session_user.server.messages.kernels import Kernels
    from jupyter_session_user.server.settings import Settings
    from jupyter_session_user.store.base import Record

__all__ = ["Grants"]


class Grants:
    """What one server gives to kernels, if the administrator allows it.

    Args:
        settings: The administrator's settings.
        kernels: The server's kernel manager.
        followed: Owners and users of the kernels.
        asking: Finds out about logins and their users.
        log: The server's log.

    Attributes:
        access_tokens: Gets access tokens of the institution; None if that is not configured.
        tokens: Issues identity tokens; None if that is not configured.
        databases: Gives database logins; None if that is not configured.

    Raises:
        ConfigurationError: A setting cannot work.
    """

    def __init__(
        self,
        settings: Settings,
        kernels: MultiKernelManager,
        followed: Kernels,
        asking: Asking,
        log: logging.Logger,
    ) -> None:
        self._kernels = kernels
        self._followed = followed
        elsewhere = isinstance(kernels, GatewayMappingKernelManager)
        self.tokens = identity_tokens(settings, log, kernels_elsewhere=elsewhere)
        self.access_tokens = access_tokens(
            settings, asking, self._may_use, log, kernels_elsewhere=elsewhere
        )
        self.databases = databases(
            settings.databases, self._is_alone, log, kernels_elsewhere=elsewhere
        )

    def connect(self, bridge: Bridge, logins: Logins) -> Grants:
        """Answer kernels, and follow the users of kernels and the ends of logins."""
        if self.tokens is not None:
            bridge.answers.issue = self._issuing(self.tokens)
        if self.access_tokens is not None:
            bridge.answers.exchange = self.access_tokens.give
            logins.on_change(self.access_tokens.on_change)
        if self.databases is not None:
            bridge.answers.lend = self.databases.lend
            logins.on_change(self.databases.on_change)
            self._followed.changed = self.databases.kernel_changed
            self._followed.unsettled = self.databases.is_unsettled
        return self

    @property
    def consents(self) -> Consents | None:
        """The services that wait for a user's consent; None if no access tokens are configured."""
        return None if self.access_tokens is None else self.access_tokens.consents

    def close(self) -> None:
        """End what is lent, and forget what is kept."""
        if self.tokens is not None:
            self.tokens.close()
        if self.access_tokens is not None:
            self.access_tokens.close()
        if self.databases is not None:
            self.databases.close()

    def _is_alone(self, record: Record, kernel_id: str) -> bool:
        """Tell whether this user started the kernel, and no other has ever used it."""
        if kernel_id not in self._kernels:
            return False
        manager, followed = self._kernels.get_kernel(kernel_id), self._followed
        return followed.owns(record.principal, manager) and followed.speakers.is_alone(
            manager, record.speaker
        )

    def _has_spoken(self, record: Record, kernel_id: str) -> bool:
        """Tell whether this user has ever used the kernel."""
        kernels = self._kernels
        return kernel_id in kernels and self._followed.speakers.has_spoken(
            kernels.get_kernel(kernel_id), record.speaker
        )

    def _may_use(self, record: Record, kernel_id: str, shared: bool) -> bool:  # noqa: FBT001
        """Tell whether a secret of this user may go to the kernel."""
        alone = self._is_alone(record, kernel_id)
        return alone or (shared and self._has_spoken(record, kernel_id))

    def _issuing(
        self, tokens: IdentityTokens
    ) -> Callable[[Record, str, float, str], dict[str, Any]]:
        def issue(record: Record, audience: str, lifetime: float, kernel_id: str) -> dict[str, Any]:
            alone = self._is_alone(record, kernel_id)
            spoke = self._has_spoken(record, kernel_id)
            return tokens.issue(record, audience, lifetime, alone=alone, spoke=spoke)

        return issue
