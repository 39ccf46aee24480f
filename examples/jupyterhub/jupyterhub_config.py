"""A Hub for two users of one server: bob is a guest on alice's.

    pip install jupyterhub jupyterlab jupyter-session-user
    npm install --global configurable-http-proxy
    jupyterhub -f examples/jupyterhub/jupyterhub_config.py

Log in at http://127.0.0.1:8000 as alice, and in a private window as bob, with the password "demo".
Start alice's server, and open http://127.0.0.1:8000/user/alice/lab in both windows. Run a cell
``%whoami`` in the same notebook. For a try on your own machine only: everybody who knows the
password is anybody.
"""

import asyncio
import json
import sys
import tempfile

from jupyterhub import orm
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.handlers.login import LogoutHandler
from jupyterhub.objects import Server
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

c = get_config()  # noqa: F821 - JupyterHub's

c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.DummyAuthenticator.password = "demo"
c.Authenticator.allowed_users = {"alice", "bob", "carol"}

# The guests of alice's server: a role gives the members of a group access.
c.JupyterHub.load_groups = {
    "guests": {"users": ["bob", "carol"]},
    "team-x": {"users": ["alice", "bob"]},
}
c.JupyterHub.load_roles = [
    {"name": "guests", "groups": ["guests"], "scopes": ["access:servers!user=alice"]}
]

# A logout reaches the open notebooks at once: the Hub tells each server that this browser has used.
# The server then asks the Hub about the user's logins; the message itself ends nothing.
# Users control their servers, so each server gets a token of its own, which opens that server alone
# and expires within a minute.
c.JupyterHub.services = [{"name": "session-user"}]
c.JupyterHub.load_roles += [
    {"name": "session-user", "services": ["session-user"], "scopes": ["access:servers"]}
]


class TellingLogoutHandler(LogoutHandler):
    """Tells the servers that a user has used that the user has logged out."""

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


class Authenticator(DummyAuthenticator):
    """Any authenticator can do this; OAuthenticator has ``logout_handler`` for it."""

    def get_handlers(self, app):
        return [*super().get_handlers(app), ("/logout", TellingLogoutHandler)]


c.JupyterHub.authenticator_class = Authenticator

# All servers run as the user who runs the Hub.
home = tempfile.mkdtemp(prefix="jupyterhub-demo-")
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = f"{home}/{{username}}"
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root", "--JupyterSessionUser.revalidate_interval=5"]
c.JupyterHub.db_url = f"sqlite:///{home}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{home}/cookie_secret"
c.ConfigurableHTTPProxy.pid_file = f"{home}/proxy.pid"
