"""A logout at the Hub reaches the open notebooks at once: for jupyterhub_config.py.

    from telling_logout import tell_logouts
    tell_logouts(c)

The Hub tells each server that the browser has used. The server then asks the Hub about the user's
logins; the message itself ends nothing.
"""

import asyncio
import importlib.metadata
import json

from jupyterhub import orm
from jupyterhub.handlers.login import LogoutHandler
from jupyterhub.objects import Server
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from traitlets.utils.importstring import import_item


class TellsServers:
    """A part of a logout handler: tells the servers that a user has used that the user left."""

    async def default_handle_logout(self):
        user, servers = self.current_user, self.used_servers()
        await super().default_handle_logout()
        if user is not None:
            telling = (self.tell(url, token, user.name) for url, token in servers)
            await asyncio.gather(*telling, return_exceptions=True)

    def used_servers(self):
        """Return address and a token for each running server that this browser has used."""
        user, session_id = self.current_user, self.get_session_cookie()
        if user is None or not session_id:
            return []
        tokens = self.db.query(orm.APIToken).filter_by(user_id=user.id, session_id=session_id)
        clients = {token.client_id for token in tokens}
        return [
            (Server(orm_server=spawner.server).url, self.token_for(spawner))
            for spawner in self.db.query(orm.Spawner)
            if spawner.server is not None and spawner.oauth_client_id in clients
        ]

    def token_for(self, spawner):
        """Return a token that opens this server alone, for a minute."""
        scope = f"access:servers!server={spawner.user.name}/{spawner.name}"
        service = orm.Service.find(self.db, "session-user")
        return service.new_api_token(scopes=[scope], expires_in=60, note="logout")

    async def tell(self, url, token, username):
        request = HTTPRequest(
            f"{url}api/session-user/revalidate",
            method="POST",
            headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
            body=json.dumps({"username": username}),
            request_timeout=3,
        )
        try:
            await AsyncHTTPClient().fetch(request)
        except (HTTPClientError, OSError) as error:
            # The server finds out by itself, within revalidate_interval.
            self.log.warning("%s was not told about a logout: %s", url, error)


def telling(authenticator):
    """Return an authenticator, a class or its name, with a logout that tells the servers."""
    if isinstance(authenticator, str):
        found = importlib.metadata.entry_points(
            group="jupyterhub.authenticators", name=authenticator.lower()
        )
        authenticator = next(iter(found)).load() if found else import_item(authenticator)

    class Telling(authenticator):
        def get_handlers(self, app):
            handlers = super().get_handlers(app)
            own = next((each[1] for each in handlers if each[0] == "/logout"), LogoutHandler)
            logout = type("TellingLogoutHandler", (TellsServers, own), {})
            return [("/logout", logout), *(each for each in handlers if each[0] != "/logout")]

    return Telling


def tell_logouts(c):
    """Configure a Hub. Call it where c.JupyterHub.authenticator_class has been set.

    Users control their servers, so each server gets a token of its own, which opens that server
    alone and expires within a minute. The service needs no other token.
    """
    role = {"name": "session-user", "services": ["session-user"], "scopes": ["access:servers"]}
    hub = c.JupyterHub
    hub.services = [*as_list(hub.services), {"name": "session-user"}]
    hub.load_roles = [*as_list(hub.load_roles), role]
    name = hub.authenticator_class
    hub.authenticator_class = telling(name if isinstance(name, str | type) else "pam")


def as_list(found):
    return found if isinstance(found, list) else []  # a setting that nobody has set is no list
