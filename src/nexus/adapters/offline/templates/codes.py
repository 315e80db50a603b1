"""Templates about codes: Morse, Caesar, check digits, colours, passwords."""

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
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    codes = (
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
        "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----."
    ).split()
    code_of, letter_of = dict(zip(letters, codes, strict=True)), dict(zip(codes, letters, strict=True))
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
    doubled = [number * 2 - (9 if number > 4 else 0) if at % 2 else number for at, number in enumerate(reversed(numbers))]
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


def password_strength(password: str) -> dict[str, int | str | list[str]]:
    """Judges the strength of a password by its length and its kinds of characters.

    Args:
        password: The password.

    Returns:
        A score from 0 to 5, the strength in a word, and advice.
    """
    rules = (
        (len(password) >= 8, "Use at least 8 characters."),
        (len(password) >= 14, "Use 14 characters or more."),
        (any(c.islower() for c in password) and any(c.isupper() for c in password), "Mix small and capital letters."),
        (any(c.isdigit() for c in password), "Add digits."),
        (any(not c.isalnum() for c in password), "Add other characters."),
    )
    score = sum(kept for kept, _ in rules)
    if len(set(password)) < 5 or password.lower() in ("password", "12345678", "qwertyuiop"):
        score = min(score, 1)
    strength = ("very weak", "very weak", "weak", "fair", "strong", "very strong")[score]
    return {"score": score, "strength": strength, "advice": [advice for kept, advice in rules if not kept]}


_TEXT = (r"[“\"「'‘]([^”\"」'’]+)[”\"」'’]", r"[:：]\s*(.+)$")

TEMPLATES = (
    Template(
        function=morse_code,
        topic=Topic(en="Morse code", zh="摩尔斯电码", category="codes", words=r"\bmorse\b|摩尔?斯|摩斯"),
        cues={
            "text": (*_TEXT, r"(?<!\S)([.\-]+(?:[ /]+[.\-]+)*)(?!\S)", r"(?:convert|encode|write|translate)\s+(.+?)\s+(?:to|in|into|as)\s+morse", r"把\s*(.+?)\s*(?:转|变|写|翻译)"),
            "direction": {"decode": r"\bdecod|from morse|解码|翻译摩|[.\-]+ [.\-]+ ", "encode": r"encod|to morse|编码|成摩"},
        },
        checks=(Check({"text": "SOS"}, "... --- ..."), Check({"text": "... --- ... / .-", "direction": "decode"}, "sos a")),
        refuses=({"text": "?", "direction": "decode"}, {"text": "a", "direction": "sideways"}),
        tell={"en": "Morse code: **{result}**", "zh": "摩尔斯电码：**{result}**"},
        examples={"en": (Example('Encode "SOS" in Morse code', ("... --- ...",)),), "zh": (Example("把“SOS”编码成摩尔斯电码", ("... --- ...",)),)},
    ),
    Template(
        function=caesar_cipher,
        topic=Topic(en="Caesar cipher", zh="凯撒密码", category="codes", words=r"\bcaesar|\brot13\b|\bshift cipher|凯撒|恺撒"),
        cues={"text": (*_TEXT,), "shift": (r"(?:shift|by|of|with|key|位移|移动|偏移|移)\D{0,10}({n})",)},
        checks=(Check({"text": "Hello, xyz!", "shift": 3}, "Khoor, abc!"), Check({"text": "Khoor", "shift": -3}, "Hello")),
        tell={"en": "Shifted by {shift}: **{result}**", "zh": "位移{shift}：**{result}**"},
        examples={"en": (Example('Caesar cipher with a shift of 3: "Hello"', ("Khoor",)),), "zh": (Example("用凯撒密码位移3加密“Hello”", ("Khoor",)),)},
    ),
    Template(
        function=luhn_check,
        topic=Topic(en="Card number check", zh="卡号校验", category="codes", words=r"\bluhn|\b(?:credit )?card numbers?\b|卡号|Luhn"),
        cues={"digits": (r"(\d[\d -]{6,30}\d)",)},
        checks=(Check({"digits": "4539 1488 0343 6467"}, True), Check({"digits": "4539 1488 0343 6468"}, False)),
        refuses=({"digits": "x"},),
        tell={"en": "Does the check digit of {digits} fit? **{result}**.", "zh": "{digits}的校验位正确吗？**{result}**。"},
        examples={"en": (Example("Check the card number 4539 1488 0343 6467", ("yes",)),), "zh": (Example("校验卡号4539 1488 0343 6467", ("是",)),)},
    ),
    Template(
        function=isbn_check,
        topic=Topic(en="ISBN check", zh="ISBN校验", category="codes", words=r"\bisbn|ISBN"),
        cues={"isbn": (r"(\d[\d -]{7,18}[\dXx])",)},
        checks=(Check({"isbn": "978-0-306-40615-7"}, True), Check({"isbn": "0-306-40615-2"}, True), Check({"isbn": "9780306406158"}, False)),
        refuses=({"isbn": "12"},),
        tell={"en": "Is {isbn} a valid ISBN? **{result}**.", "zh": "{isbn}是有效的ISBN吗？**{result}**。"},
        examples={"en": (Example("Is 978-0-306-40615-7 a valid ISBN?", ("yes",)),), "zh": (Example("ISBN 978-0-306-40615-7有效吗？", ("是",)),)},
    ),
    Template(
        function=hex_to_rgb,
        topic=Topic(en="Colour to RGB", zh="颜色转RGB", category="codes", words=r"\bcolou?rs?\b.*\b(?:rgb|hex)|\bhex\w*\b.*\brgb\b|\brgb\b.*\bhex|颜色(?:代码|转换|值)|RGB"),
        asks=r"#[0-9a-fA-F]{3,6}(?![0-9a-zA-Z])",
        cues={"colour": (r"(#[0-9a-fA-F]{6}|#[0-9a-fA-F]{3})(?![0-9a-zA-Z])",)},
        checks=(Check({"colour": "#ff8800"}, {"red": 255, "green": 136, "blue": 0}), Check({"colour": "f80"}, {"red": 255, "green": 136, "blue": 0})),
        refuses=({"colour": "#12"},),
        tell={"en": "{colour} is **rgb({red}, {green}, {blue})**.", "zh": "{colour}是**rgb({red}, {green}, {blue})**。"},
        examples={"en": (Example("What is #ff8800 in RGB?", ("255, 136, 0",)),), "zh": (Example("#ff8800的RGB值是多少？", ("255, 136, 0",)),)},
    ),
    Template(
        function=rgb_to_hex,
        topic=Topic(en="RGB to colour", zh="RGB转颜色", category="codes", words=r"\bcolou?rs?\b.*\bhex|\brgb\b.*\bhex|\bhex\b.*\brgb\b|RGB.*(?:十六进制|互)|颜色.*互"),
        asks=r"\brgb\b|RGB",
        checks=(Check({"red": 255, "green": 136, "blue": 0}, "#ff8800"), Check({"red": 0, "green": 0, "blue": 0}, "#000000")),
        refuses=({"red": 256, "green": 0, "blue": 0},),
        tell={"en": "rgb({red}, {green}, {blue}) is **{result}**.", "zh": "rgb({red}, {green}, {blue})是**{result}**。"},
        examples={"en": (Example("What is rgb(255, 136, 0) in hex?", ("#ff8800",)),), "zh": (Example("rgb(255, 136, 0)的十六进制是多少？", ("#ff8800",)),)},
    ),
    Template(
        function=password_strength,
        topic=Topic(en="Password check", zh="密码强度检查", category="codes", words=r"\bpasswords?\b|密码(?:强度|安全|检查)|(?:检查|检测|评估).{0,6}密码|口令强度"),
        asks=r"\bpassword|\bstrong\b|密码|口令",
        cues={"password": (*_TEXT, r"password\s+(?:is\s+)?(\S+?)(?:\?|\.|,)?(?:\s|$)", r"(?:how strong is|is)\s+(?!the |my )(\S+?)(?:\?|\s|$)", r"密码\s*(?:是)?\s*([!-~]+)")},
        checks=(
            Check({"password": "abc"}, {"score": 0, "strength": "very weak", "advice": ["Use at least 8 characters.", "Use 14 characters or more.", "Mix small and capital letters.", "Add digits.", "Add other characters."]}),
            Check({"password": "Tr0ub4dor&3-horse"}, {"score": 5, "strength": "very strong", "advice": []}),
        ),
        tell={"en": "The password is **{strength}** ({score} of 5). Advice: {advice}", "zh": "密码强度：**{strength}**（{score}/5）。建议：{advice}"},
        examples={
            "en": (Example('How strong is the password "Tr0ub4dor&3-horse"?', ("very strong", "5")),),
            "zh": (Example("检查密码强度：Tr0ub4dor&3-horse", ("5",)),),
        },
    ),
)
