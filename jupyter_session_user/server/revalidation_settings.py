"""The settings for asking the identity provider again about open logins."""

from __future__ import annotations

from traitlets import Float, HasTraits, Int

__all__ = ["RevalidationSettings"]


class RevalidationSettings(HasTraits):
    """How often open logins are validated again."""

    revalidate_interval = Float(
        60.0,
        allow_none=True,
        min=0.1,
        config=True,
        help="""How often the identity provider and the authorizer are asked again about a login
        that has an open kernel websocket, in seconds. Each login is asked about a little earlier
        than that, at random. None never asks: a user that is removed at the provider then keeps
        open kernels.""",
    )

    revalidate_timeout = Float(
        10.0,
        min=0.1,
        config=True,
        help="""Maximum time for such an answer, in seconds. After that the login continues, and is
        shown as degraded.""",
    )

    revalidate_concurrency = Int(
        8,
        min=1,
        config=True,
        help="""Approximate number of logins about which the provider is asked at the same time.""",
    )

    revalidate_rate = Float(
        30.0,
        min=0.1,
        config=True,
        help="""Maximum number of periodic requests to the provider per second. If more logins have
        open kernels than this times `revalidate_interval`, the interval is longer for each.""",
    )
