"""A Hub for two users of one server: bob is a guest on alice's.

    pip install jupyterhub jupyterlab jupyter-session-user
    npm install --global configurable-http-proxy
    jupyterhub -f examples/jupyterhub/jupyterhub_config.py

Log in at http://127.0.0.1:8000 as alice, and in a private window as bob, with the password "demo".
Start alice's server, and open http://127.0.0.1:8000/user/alice/lab in both windows. Run a cell
``%whoami`` in the same notebook. Use this on your own machine only: with the password, a person can
log in as each user.
"""

import sys
import tempfile
from pathlib import Path

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

# A logout reaches the open notebooks at once.
c.JupyterHub.authenticator_class = "dummy"
sys.path.insert(0, str(Path(__file__).parent))
from telling_logout import tell_logouts  # noqa: E402 - the file beside this one

tell_logouts(c)

# All servers run as the user who runs the Hub.
home = tempfile.mkdtemp(prefix="jupyterhub-demo-")
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = f"{home}/{{username}}"
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root", "--JupyterSessionUser.revalidate_interval=5"]
c.JupyterHub.db_url = f"sqlite:///{home}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{home}/cookie_secret"
c.ConfigurableHTTPProxy.pid_file = f"{home}/proxy.pid"
