"""Names as a reader sees them: allowed characters, and names that look alike."""

from __future__ import annotations

import unicodedata
from functools import cache

_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and signs without a visible form."""
_SELECTORS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
"""Invisible selectors of a variant of the sign before them."""
_KINDS = frozenset("LMNPS")
_TOGETHER = ({"CJK", "HIRAGANA", "KATAKANA"}, {"CJK", "HANGUL"}, {"CJK", "BOPOMOFO"})
"""Scripts that one language writes together."""
_MOST_MARKS = 2
_ALIKE = str.maketrans(
    "01|" + "авсԁеһіјӏкмнопрѕтԛухԝгь" + "αβγεηικνορτυχωϲϳ" + "ıǀɑɡʟ",
    "oll" + "abcdehijlkmhonpstqyxwrb" + "abyenikvoptuxwcj" + "ilagl",
)
"""Signs that look like a Latin letter without case and accents."""


def unseen(text: str) -> str | None:
    """Return what is invisible or misleading in a text; None if it is plain: NFKC, visible, with letters of one script."""
    for sign in text:
        kind = unicodedata.category(sign)
        if sign != " " and (kind[0] not in _KINDS or sign in _FILLERS or any(ord(sign) in each for each in _SELECTORS)):
            return f"U+{ord(sign):04X} in it is no sign that one sees"
    if unicodedata.normalize("NFKC", text) != text:
        return "it is not in the form NFKC"
    if text != " ".join(text.split(" ")).strip() or "  " in text:
        return "it has blanks at an end, or two together"
    marks = 0
    for sign in text:
        marks = marks + 1 if unicodedata.category(sign)[0] == "M" else 0
        if marks > _MOST_MARKS:
            return f"more than {_MOST_MARKS} marks stand on one letter"
    scripts = {_script(sign) for sign in text if unicodedata.category(sign)[0] == "L"}
    if len(scripts) > 1 and not any(scripts <= each for each in _TOGETHER):
        return f"its letters are of several scripts: {', '.join(sorted(scripts)).lower()}"
    if not any(unicodedata.category(sign)[0] in "LN" for sign in text):
        return "it has no letter and no digit"
    return None


@cache
def skeleton(text: str) -> str:
    """Return a key that names of like appearance share: letters and digits only, without case, accents and small differences in form."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    signs = "".join(sign for sign in plain if unicodedata.category(sign)[0] in "LN")
    return signs.translate(_ALIKE).replace("rn", "m").replace("vv", "w").replace("cl", "d").replace("i", "l")


@cache
def _script(sign: str) -> str:
    """Return the script of a letter, the first word of its Unicode name."""
    return unicodedata.name(sign, "UNKNOWN").split()[0]
