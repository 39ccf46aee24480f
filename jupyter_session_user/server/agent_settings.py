"""The settings for the tokens of agents."""

from __future__ import annotations

from traitlets import Float, HasTraits

__all__ = ["AgentSettings"]


class AgentSettings(HasTraits):
    """What people may give to their agents."""

    max_agent_lifetime = Float(
        86_400.0,
        min=0,
        config=True,
        help="""Maximum lifetime of the token that a user gives to an agent, in seconds. The token
        also ends with the user's login. 0 gives no tokens to agents.""",
    )
