"""Templates about codes: Morse, Caesar, check digits."""

from nexus.adapters.offline.skills.skill import Example, Topic
from nexus.adapters.offline.templates.template import Check, Template


def morse_code(text: str, direction: str = "encode") -> str:
    """Writes a text in Morse code, or reads one.

    Args:
        text: The text, or the code with spaces between letters and slashes between words.
        direction: Either "encode" or "decode".

    Returns:
        The code or the text.
    """
    table = (
        "a.- b-... c-.-. d-.. e. f..-. g--. h.... i.. j.--- k-.- l.-.. m-- n-. o--- p.--. q--.- r.-. s... t- u..- v...- w.-- x-..- y-.-- z--.. "
        "0----- 1.---- 2..--- 3...-- 4....- 5..... 6-.... 7--... 8---.. 9----."
    )
    code_of = {pair[0]: pair[1:] for pair in table.split()}
    letter_of = {code: letter for letter, code in code_of.items()}
    if direction == "encode":
        words = [[code_of[letter] for letter in word if letter in code_of] for word in text.lower().split()]
        return " / ".join(" ".join(word) for word in words if word)
    if direction != "decode":
        raise ValueError("The direction is encode or decode.")
    if any(code not in letter_of for code in text.replace("/", " ").split()):
        raise ValueError("That is not Morse code.")
    return " ".join("".join(letter_of[code] for code in word.split()) for word in text.split("/"))


def caesar_cipher(text: str, shift: int = 3) -> str:
    """Shifts every letter of the alphabet by some places.

    Args:
        text: The text.
        shift: How many places; negative to decode.

    Returns:
        The shifted text; everything but the letters a to z is kept.
    """
    shifted = ""
    for character in text:
        start = ord("a") if "a" <= character <= "z" else ord("A") if "A" <= character <= "Z" else 0
        shifted += chr((ord(character) - start + shift) % 26 + start) if start else character
    return shifted


def luhn_check(digits: str) -> bool:
    """Says whether a card number has a valid check digit by the Luhn algorithm.

    Args:
        digits: The number; spaces and hyphens are ignored.

    Returns:
        Whether the check digit fits.
    """
    numbers = [int(character) for character in digits if character.isdigit()]
    if len(numbers) < 2 or any(not (character.isdigit() or character in " -") for character in digits):
        raise ValueError("At least two digits are needed, and nothing else.")
    doubled = [
        number * 2 - (9 if number > 4 else 0) if at % 2 else number for at, number in enumerate(reversed(numbers))
    ]
    return sum(doubled) % 10 == 0


def isbn_check(isbn: str) -> bool:
    """Says whether an ISBN has a valid check digit, with 10 or 13 digits.

    Args:
        isbn: The ISBN; spaces and hyphens are ignored.

    Returns:
        Whether the check digit fits.
    """
    digits = isbn.replace("-", "").replace(" ", "").upper()
    if len(digits) == 13 and digits.isdigit():
        return sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(digits)) % 10 == 0
    if len(digits) == 10 and digits[:9].isdigit() and (digits[9].isdigit() or digits[9] == "X"):
        values = [10 if digit == "X" else int(digit) for digit in digits]
        return sum(value * (10 - at) for at, value in enumerate(values)) % 11 == 0
    raise ValueError("An ISBN has 10 or 13 digits.")


_TEXT = (r"[“\"「'‘]([^”\"」'’]+)[”\"」'’]", r"[:：]\s*(.+)$")

TEMPLATES = (
    Template(
        function=morse_code,
        topic=Topic(en="Morse code", zh="摩尔斯电码", category="codes", words=r"\bmorse\b|摩尔?斯|摩斯"),
        cues={
            "text": (
                *_TEXT,
                r"(?<!\S)([.\-]+(?:[ /]+[.\-]+)*)(?!\S)",
                r"morse (?:code )?(?:for|of)\s+(.+?)[?.]*$",
                r"(?:convert|encode|write|translate)\s+(.+?)\s+(?:to|in|into|as)\s+morse",
                r"把\s*(.+?)\s*(?:转|变|写|翻译)",
            ),
            "direction": {
                "decode": r"\bdecod|from morse|解码|翻译摩|[.\-]+ [.\-]+ ",
                "encode": r"encod|to morse|编码|成摩",
            },
        },
        checks=(
            Check({"text": "SOS"}, "... --- ..."),
            Check({"text": "... --- ... / .-", "direction": "decode"}, "sos a"),
        ),
        refuses=({"text": "?", "direction": "decode"}, {"text": "a", "direction": "sideways"}),
        tell={"en": "Morse code: **{result}**", "zh": "摩尔斯电码：**{result}**"},
        examples={
            "en": (Example('Encode "SOS" in Morse code', ("... --- ...",)),),
            "zh": (Example("把“SOS”编码成摩尔斯电码", ("... --- ...",)),),
        },
    ),
    Template(
        function=caesar_cipher,
        topic=Topic(
            en="Caesar cipher", zh="凯撒密码", category="codes", words=r"\bcaesar|\brot13\b|\bshift cipher|凯撒|恺撒"
        ),
        cues={"text": (*_TEXT,), "shift": (r"(?:shift|by|of|with|key|位移|移动|偏移|移)\D{0,10}({n})",)},
        checks=(
            Check({"text": "Hello, xyz!", "shift": 3}, "Khoor, abc!"),
            Check({"text": "Khoor", "shift": -3}, "Hello"),
        ),
        tell={"en": "Shifted by {shift}: **{result}**", "zh": "位移{shift}：**{result}**"},
        examples={
            "en": (Example('Caesar cipher with a shift of 3: "Hello"', ("Khoor",)),),
            "zh": (Example("用凯撒密码位移3加密“Hello”", ("Khoor",)),),
        },
    ),
    Template(
        function=luhn_check,
        topic=Topic(
            en="Card number check",
            zh="卡号校验",
            category="codes",
            words=r"\bluhn|\b(?:credit )?card numbers?\b|卡号|Luhn",
        ),
        cues={"digits": (r"(\d[\d -]{6,30}\d)",)},
        checks=(Check({"digits": "4539 1488 0343 6467"}, True), Check({"digits": "4539 1488 0343 6468"}, False)),
        refuses=({"digits": "x"},),
        tell={
            "en": "Does the check digit of {digits} fit? **{result}**.",
            "zh": "{digits}的校验位正确吗？**{result}**。",
        },
        examples={
            "en": (Example("Check the card number 4539 1488 0343 6467", ("yes",)),),
            "zh": (Example("校验卡号4539 1488 0343 6467", ("是",)),),
        },
    ),
    Template(
        function=isbn_check,
        topic=Topic(en="ISBN check", zh="ISBN校验", category="codes", words=r"\bisbn|ISBN"),
        cues={"isbn": (r"(\d[\d -]{7,18}[\dXx])",)},
        checks=(
            Check({"isbn": "978-0-306-40615-7"}, True),
            Check({"isbn": "0-306-40615-2"}, True),
            Check({"isbn": "9780306406158"}, False),
        ),
        refuses=({"isbn": "12"},),
        tell={"en": "Is {isbn} a valid ISBN? **{result}**.", "zh": "{isbn}是有效的ISBN吗？**{result}**。"},
        examples={
            "en": (Example("Is 978-0-306-40615-7 a valid ISBN?", ("yes",)),),
            "zh": (Example("ISBN 978-0-306-40615-7有效吗？", ("是",)),),
        },
    ),
)
