"""Templates about how numbers are written: Roman numerals, number bases."""

from nexus.adapters.offline.skills.skill import Example, Topic
from nexus.adapters.offline.templates.template import Check, Template


def to_roman(number: int) -> str:
    """Writes a whole number as a Roman numeral.

    Args:
        number: A whole number from 1 to 3999.

    Returns:
        The Roman numeral.
    """
    if not 1 <= number <= 3999:
        raise ValueError("Roman numerals here go from 1 to 3999.")
    numeral = ""
    for value, letters in (
        (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"),
        (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
    ):  # fmt: skip
        count, number = divmod(number, value)
        numeral += letters * count
    return numeral


def from_roman(numeral: str) -> int:
    """Reads a Roman numeral.

    Args:
        numeral: The Roman numeral, for example XIV.

    Returns:
        The number.
    """
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    letters = numeral.strip().upper()
    if not letters or any(letter not in values for letter in letters):
        raise ValueError("A Roman numeral has only the letters I V X L C D M.")
    total = 0
    for at, letter in enumerate(letters):
        following = values[letters[at + 1]] if at + 1 < len(letters) else 0
        total += -values[letter] if values[letter] < following else values[letter]
    return total


def convert_base(digits: str, from_base: int = 10, to_base: int = 2) -> str:
    """Converts a whole number from one number base to another.

    Args:
        digits: The number as written in the first base.
        from_base: The base it is written in, 2 to 36.
        to_base: The base wanted, 2 to 36.

    Returns:
        The number in the wanted base, with capital letters.
    """
    if not (2 <= from_base <= 36 and 2 <= to_base <= 36):
        raise ValueError("Bases go from 2 to 36.")
    value = int(digits, from_base)
    sign, value, shown = ("-" if value < 0 else ""), abs(value), ""
    while value:
        value, rest = divmod(value, to_base)
        shown = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rest] + shown
    return sign + (shown or "0")


_BASES = {
    "2": r"binary|base 2\b|二进制",
    "8": r"octal|base 8\b|八进制",
    "10": r"decimal|base 10\b|十进制",
    "16": r"hex|base 16\b|十六进制",
}

TEMPLATES = (
    Template(
        function=to_roman,
        topic=Topic(
            en="Roman numerals", zh="罗马数字", category="math", words=r"\broman\b(?! history| empire)|罗马数字"
        ),
        asks=r"\broman\b.*|罗马数字",
        cues={"number": (r"({n})",)},
        checks=(Check({"number": 1994}, "MCMXCIV"), Check({"number": 1}, "I"), Check({"number": 3999}, "MMMCMXCIX")),
        refuses=({"number": 0}, {"number": 4000}),
        tell={"en": "{number} as a Roman numeral is **{result}**.", "zh": "{number}写成罗马数字是**{result}**。"},
        examples={
            "en": (Example("Write 1994 as a Roman numeral", ("MCMXCIV",)),),
            "zh": (Example("把1994写成罗马数字", ("MCMXCIV",)),),
        },
    ),
    Template(
        function=from_roman,
        topic=Topic(
            en="Reading Roman numerals",
            zh="读罗马数字",
            category="math",
            words=r"\b(?:reads?|from|decodes?|pars\w+|both ways|vice versa)\b.*\broman\b|\broman\b.*\b(?:both ways|vice versa|back|to (?:arabic|numbers|integers|decimal))|罗马数字.*(?:互|转换?[为成](?:阿拉伯|数字|整数))|(?:读|互转).*罗马数字",
        ),
        asks=r"(?-i:\b[MDCLXVI]{2,}\b)|罗马数字\s*[MDCLXVI]+",
        cues={"numeral": (r"(?-i:(?<![A-Za-z])([MDCLXVI]+)(?![A-Za-z]))",)},
        checks=(Check({"numeral": "MCMXCIV"}, 1994), Check({"numeral": "iv"}, 4)),
        refuses=({"numeral": "ABC"}, {"numeral": ""}),
        tell={"en": "The Roman numeral {numeral} is **{result}**.", "zh": "罗马数字{numeral}是**{result}**。"},
        examples={
            "en": (Example("Which number is the Roman numeral MCMXCIV?", ("1994",)),),
            "zh": (Example("罗马数字MCMXCIV是多少？", ("1994",)),),
        },
    ),
    Template(
        function=convert_base,
        topic=Topic(
            en="Number bases",
            zh="进制转换",
            category="math",
            words=r"\bnumber bases?\b|\bbinary|\bhexadecimal|\boctal|进制",
        ),
        asks=r"\bbinary|\bhex(?:adecimal)?\b|\boctal|\bbase \d|进制",
        cues={
            "digits": (
                r"(?:number|convert|what is|of|把|将)\s*(?:binary|hex(?:adecimal)?|octal|decimal|[二八十]+进制数?的?)?\s*(?-i:(?<![A-Za-z])(?:0[xb])?([0-9A-F]+)(?![A-Za-z]))",
                r"(?-i:(?<![A-Za-z])([0-9]+[0-9A-F]*)(?![A-Za-z]))",
            ),
            "from_base": {
                base: rf"(?:from (?:a )?(?:{words}))|(?:(?:{words})数?的?\s*[0-9A-F]+\b)|[0-9A-F]+\s*\(?(?:{words})|从(?:{words})"
                for base, words in _BASES.items()
            },
            "to_base": {
                base: rf"(?:to|into|in|as) (?:a )?(?:{words})|(?:换算?成|转换?[为成]?|变成|写成|化成?|到)\s*(?:{words})|的(?:{words})"
                for base, words in _BASES.items()
            },
        },
        checks=(
            Check({"digits": "255", "to_base": 16}, "FF"),
            Check({"digits": "1010", "from_base": 2, "to_base": 10}, "10"),
            Check({"digits": "0"}, "0"),
        ),
        refuses=({"digits": "9", "from_base": 2}, {"digits": "1", "to_base": 1}),
        tell={"en": "{digits} in the wanted base is **{result}**.", "zh": "{digits}转换后是**{result}**。"},
        examples={
            "en": (Example("Convert 255 to hexadecimal", ("FF",)),),
            "zh": (Example("把255转换成十六进制", ("FF",)),),
        },
    ),
)
