"""A string that does not show itself.

Rules of this file:
- the text leaves by ``reveal()`` alone, so that a search for that word finds every use;
- whatever prints, copies or stores an object without being asked (a repr in a cell's output,
  a DEBUG log, ``%xmode Verbose``, a pickle of the notebook's variables) gets no text.

It guards against accidents, not against code that looks for the text.
"""

from __future__ import annotations

import hmac
from typing import Any, ClassVar, NoReturn, final

__all__ = ["Secret"]

_HIDDEN = "<Secret: hidden>"


@final
class Secret:
    """Holds a string, and shows it only to who asks for it by name.

    Secrets are equal when their texts are; the comparison takes the same time wherever the
    texts differ. They have no hash: as a key of a dictionary, one could be found by trying.

    Args:
        text: What to hide. It may hold any code point, lone surrogates too.
    """

    __slots__ = ("__text",)

    # A hash would be the text's, and would tell equal secrets across dumps and logs.
    __hash__: ClassVar[None]  # type: ignore[assignment]

    __text: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_Secret__text", text)

    def reveal(self) -> str:
        """Return the text."""
        return self.__text

    def __repr__(self) -> str:
        """Return the same for every secret: even a length would help to guess."""
        return _HIDDEN

    def __format__(self, spec: str, /) -> str:
        """Return the repr, whatever the spec: a log line must not fail on ``{:>20}``."""
        return _HIDDEN

    def __eq__(self, other: object) -> bool:
        """Compare in constant time; anything that is not a Secret differs."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_octets(self), _octets(other))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse: copies share the object, so that it must not change.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(f"a Secret cannot change: no attribute {name!r} can be set")

    def __copy__(self) -> Secret:
        """Return the same object, which is immutable."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        """Return the same object, so that ``dataclasses.asdict`` works and shows nothing."""
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled, which writes the text into a file.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a Secret cannot be pickled; call .reveal() where the text is needed")

    # Python 3.11 gave every object a __getstate__, which would return the slot's content.
    def __getstate__(self) -> NoReturn:
        """Refuse, as pickling does.

        Raises:
            TypeError: Always.
        """
        self.__reduce_ex__(0)


def _octets(secret: Secret) -> bytes:
    """Return what ``compare_digest`` takes: it refuses text that is not ASCII."""
    return secret.reveal().encode("utf-8", "surrogatepass")
