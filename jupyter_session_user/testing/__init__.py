"""For tests and for trying the package out: made-up users, and a provider with demo users."""

from jupyter_session_user.testing.fake import FakeUser, fake_user

__all__ = ["FakeUser", "fake_user"]
