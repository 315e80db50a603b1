"""Templates about colours."""

from nexus.adapters.offline.skills.skill import Example, Topic
from nexus.adapters.offline.templates.template import Check, Template


def hex_to_rgb(colour: str) -> dict[str, int]:
    """Turns a colour in hexadecimal form into red, green and blue.

    Args:
        colour: The colour, for example #ff8800 or #f80.

    Returns:
        Red, green and blue from 0 to 255.
    """
    digits = colour.strip().lstrip("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    if len(digits) != 6 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
        raise ValueError("A colour has three or six hexadecimal digits.")
    return {"red": int(digits[0:2], 16), "green": int(digits[2:4], 16), "blue": int(digits[4:6], 16)}


def rgb_to_hex(red: int, green: int, blue: int) -> str:
    """Turns red, green and blue into a colour in hexadecimal form.

    Args:
        red: Red, 0 to 255.
        green: Green, 0 to 255.
        blue: Blue, 0 to 255.

    Returns:
        The colour, for example #ff8800.
    """
    if any(not 0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError("Every part is between 0 and 255.")
    return f"#{red:02x}{green:02x}{blue:02x}"


TEMPLATES = (
    Template(
        function=hex_to_rgb,
        topic=Topic(
            en="Colour to RGB",
            zh="颜色转RGB",
            category="codes",
            words=r"\bcolou?rs?\b.*\b(?:rgb|hex)|\bhex\w*\b.*\brgb\b|\brgb\b.*\bhex|颜色(?:代码|转换|值)|RGB",
        ),
        asks=r"#[0-9a-fA-F]{3,6}(?![0-9a-zA-Z])",
        cues={"colour": (r"(#[0-9a-fA-F]{6}|#[0-9a-fA-F]{3})(?![0-9a-zA-Z])",)},
        checks=(
            Check({"colour": "#ff8800"}, {"red": 255, "green": 136, "blue": 0}),
            Check({"colour": "f80"}, {"red": 255, "green": 136, "blue": 0}),
        ),
        refuses=({"colour": "#12"},),
        tell={
            "en": "{colour} is **rgb({red}, {green}, {blue})**.",
            "zh": "{colour}是**rgb({red}, {green}, {blue})**。",
        },
        examples={
            "en": (Example("What is #ff8800 in RGB?", ("255, 136, 0",)),),
            "zh": (Example("#ff8800的RGB值是多少？", ("255, 136, 0",)),),
        },
    ),
    Template(
        function=rgb_to_hex,
        topic=Topic(
            en="RGB to colour",
            zh="RGB转颜色",
            category="codes",
            words=r"\bcolou?rs?\b.*\bhex|\brgb\b.*\bhex|\bhex\b.*\brgb\b|RGB.*(?:十六进制|互)|颜色.*互",
        ),
        asks=r"\brgb\b|RGB",
        checks=(
            Check({"red": 255, "green": 136, "blue": 0}, "#ff8800"),
            Check({"red": 0, "green": 0, "blue": 0}, "#000000"),
        ),
        refuses=({"red": 256, "green": 0, "blue": 0},),
        tell={
            "en": "rgb({red}, {green}, {blue}) is **{result}**.",
            "zh": "rgb({red}, {green}, {blue})是**{result}**。",
        },
        examples={
            "en": (Example("What is rgb(255, 136, 0) in hex?", ("#ff8800",)),),
            "zh": (Example("rgb(255, 136, 0)的十六进制是多少？", ("#ff8800",)),),
        },
    ),
)
