"""A string that hides its content.

Rules of this file:
- only ``reveal()`` returns the text, so that a search for that word finds every use;
- code that prints, copies or stores objects automatically (a repr in a cell's output, a DEBUG log,
  ``%xmode Verbose``, a pickle of the notebook's variables) gets no text.

It protects against accidents, not against code that looks for the text.
"""

from __future__ import annotations

import hmac
from typing import Any, ClassVar, NoReturn, final

__all__ = ["Secret"]

_HIDDEN = "<Secret: hidden>"


@final
class Secret:
    """Holds a string, and returns it only from ``reveal()``.

    Secrets are equal if their texts are equal; the comparison takes constant time. Secrets have no
    hash: as a dictionary key, a secret could be found by trial.

    Args:
        text: The text to hide. It may hold any code point, including lone surrogates.
    """

    __slots__ = ("__text",)

    # A hash would depend on the text, and would reveal equal secrets across dumps and logs.
    __hash__: ClassVar[None]  # type: ignore[assignment]

    __text: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_Secret__text", text)

    def reveal(self) -> str:
        """Return the text."""
        return self.__text

    def __repr__(self) -> str:
        """Return the same text for every secret: even the length would help guessing."""
        return _HIDDEN

    def __format__(self, spec: str, /) -> str:
        """Return the repr for any spec: a log line must not fail on ``{:>20}``."""
        return _HIDDEN

    def __eq__(self, other: object) -> bool:
        """Compare in constant time; a Secret never equals another type."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_octets(self), _octets(other))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse: copies share the object, so it must not change.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(f"a Secret cannot change: no attribute {name!r} can be set")

    def __copy__(self) -> Secret:
        """Return the same object, which is immutable."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        """Return the same object, so that ``dataclasses.asdict`` works and reveals nothing."""
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse pickling, which would write the text into a file.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a Secret cannot be pickled; call .reveal() where the text is needed")

    # Since Python 3.11 every object has a __getstate__, which would return the slot's content.
    def __getstate__(self) -> NoReturn:
        """Refuse, like pickling.

        Raises:
            TypeError: Always.
        """
        self.__reduce_ex__(0)


def _octets(secret: Secret) -> bytes:
    """Return bytes for ``compare_digest``, which refuses text that is not ASCII."""
    return secret.reveal().encode("utf-8", "surrogatepass")
