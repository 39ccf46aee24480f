"""The text of an identity token, as a kernel's code gets it."""

from __future__ import annotations

from typing import Any, NoReturn, final

__all__ = ["MAX_LIFETIME_S", "IdentityToken"]

#: How long a token counts at most, in seconds.
MAX_LIFETIME_S = 300

_HIDDEN = "<IdentityToken: hidden>"


@final
class IdentityToken(str):
    """A token. It is a ``str``, so that every HTTP library takes it, with a repr that hides it.

    What prints, logs or stores objects without being asked to (the output of a cell, a traceback
    with values, a pickle of all variables) therefore gets no text. ``print()`` and f-strings do,
    since ``f"Bearer {token}"`` has to work.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the same text for each token."""
        return _HIDDEN

    def __copy__(self) -> IdentityToken:
        """Return the same object, which is immutable."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> IdentityToken:
        """Return the same object."""
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse pickling, which would write the text into a file.

        Raises:
            TypeError: Always.
        """
        raise TypeError("an identity token cannot be pickled; call get_identity_token() again")
