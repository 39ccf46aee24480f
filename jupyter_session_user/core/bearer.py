"""Short-lived secrets as a kernel's code gets them: texts that show nothing of their own accord."""

from __future__ import annotations

from typing import Any, NoReturn, final

__all__ = ["MAX_LIFETIME_S", "AccessToken", "IdentityToken", "Password"]

#: How long a token counts at most, in seconds.
MAX_LIFETIME_S = 300


class _Hidden(str):
    """A ``str``, so that every library takes it, with a repr that hides it.

    What prints, logs or stores objects without being asked to (the output of a cell, a traceback
    with values, a pickle of all variables) therefore gets no text. ``print()`` and f-strings do,
    since ``f"Bearer {token}"`` has to work.
    """

    __slots__ = ()
    _again = ""

    def __repr__(self) -> str:
        """Return the same text for each secret of a kind."""
        return f"<{type(self).__name__}: hidden>"

    def __copy__(self) -> _Hidden:
        """Return the same object, which is immutable."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _Hidden:
        """Return the same object."""
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse pickling, which would write the text into a file.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{type(self).__name__} cannot be pickled; call {self._again} again")


@final
class AccessToken(_Hidden):
    """An access token of the institution's identity provider."""

    __slots__ = ()
    _again = "get_access_token()"


@final
class IdentityToken(_Hidden):
    """An identity token."""

    __slots__ = ()
    _again = "get_identity_token()"


@final
class Password(_Hidden):
    """The password of a database login."""

    __slots__ = ()
    _again = "connect_as_user()"
