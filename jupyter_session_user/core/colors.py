"""The colour of a user: the same on the chip, on cards, and for the cursor in a shared document.

A cursor's label has the text colour of its theme: black in light themes, white in dark ones. So a
colour made here has a contrast of at least 4.5:1 with both (WCAG 2.2, 1.4.3).
"""

from __future__ import annotations

import colorsys
import functools
import re
from hashlib import sha256

__all__ = ["color_of", "contrast_of", "letters_on"]

#: WCAG 2.2 AA, for text.
CONTRAST = 4.5
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_SATURATION = 0.6
#: The relative luminance at which black and white have the same contrast, 4.58:1.
_MIDDLE = (1.05 * 0.05) ** 0.5 - 0.05
_STEPS = 16  # of a bisection: finer than a byte


def color_of(username: str, given: str | None = None) -> str:
    """Return a user's colour, ``#rrggbb``.

    Args:
        username: The same name has the same colour in every process.
        given: The identity provider's colour; it counts if it is ``#rgb`` or ``#rrggbb``. Any other
            text is not put into a style.
    """
    if given is not None and _HEX.fullmatch(given):
        digits = given[1:].lower()
        return f"#{digits}" if len(digits) == 6 else "#" + "".join(2 * digit for digit in digits)  # noqa: PLR2004
    return _made_from(username)


@functools.lru_cache(maxsize=1_000)
def _made_from(username: str) -> str:
    text = username.encode("utf-8", "surrogatepass")  # JSON may hold a lone surrogate
    hue = int.from_bytes(sha256(text).digest()[:2], "big") % 360 / 360
    low, high, rgb = 0.0, 1.0, (0.0, 0.0, 0.0)
    for _ in range(_STEPS):
        lightness = (low + high) / 2
        rgb = colorsys.hls_to_rgb(hue, lightness, _SATURATION)
        low, high = (lightness, high) if _luminance(rgb) < _MIDDLE else (low, lightness)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def letters_on(color: str) -> str:
    """Return the colour of letters on ``#rrggbb``: white where it can be read, else black.

    The same rule as the chip's, in ``labextension/src/lab/color.ts``.
    """
    return "#ffffff" if contrast_of("#ffffff", color) >= CONTRAST else "#000000"


def contrast_of(one: str, other: str) -> float:
    """Return WCAG's contrast of two colours ``#rrggbb``, from 1 to 21."""
    dark, light = sorted(
        _luminance([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        for color in (one, other)
    )
    return (light + 0.05) / (dark + 0.05)


def _luminance(rgb: tuple[float, ...] | list[float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]  # noqa: PLR2004
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))
