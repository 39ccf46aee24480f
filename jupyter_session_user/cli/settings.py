"""The settings as text: the help of each, and a configuration file in which all are commented out.

``jupyter server --help-all`` and ``--generate-config`` end before Jupyter Server loads an
extension, so they cannot show them.
"""

from __future__ import annotations

from traitlets.config import Configurable

from jupyter_session_user.server.settings import Settings

__all__ = ["config_text", "help_text"]


class JupyterSessionUser(Settings, Configurable):
    """The settings, under the name that configuration files use for them."""


def help_text() -> str:
    """Return the settings as options of a command line, each with its default and its help."""
    return f"{JupyterSessionUser.class_get_help()}\n"


def config_text() -> str:
    """Return lines for ``jupyter_server_config.py``."""
    return f"# Settings of jupyter-session-user\n\n{JupyterSessionUser.class_config_section()}"
