"""Tools about numerals, codes, chances and words: each is written into an agent as it stands here."""


def morse_code(text: str, direction: str = "encode") -> str:
    """Writes a text in Morse code, or reads one.

    Args:
        text: The text, or the code with spaces between letters and slashes between words.
        direction: Either "encode" or "decode".
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


def to_roman(number: int) -> str:
    """Writes a whole number as a Roman numeral.

    Args:
        number: A whole number from 1 to 3999.
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


def hex_to_rgb(colour: str) -> dict[str, int]:
    """Turns a colour in hexadecimal form into red, green and blue.

    Args:
        colour: The colour, for example #ff8800 or #f80.
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
    """
    if any(not 0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError("Every part is between 0 and 255.")
    return f"#{red:02x}{green:02x}{blue:02x}"


def password_strength(password: str) -> dict[str, int | str | list[str]]:
    """Judges the strength of a password by its length and its kinds of characters.

    Args:
        password: The password.
    """
    rules = (
        (len(password) >= 8, "use at least 8 characters"),
        (len(password) >= 14, "use 14 characters or more"),
        (any(c.islower() for c in password) and any(c.isupper() for c in password), "mix small and capital letters"),
        (any(c.isdigit() for c in password), "add digits"),
        (any(not c.isalnum() for c in password), "add other characters"),
    )
    score = sum(kept for kept, _ in rules)
    if len(set(password)) < 5 or password.lower() in ("password", "12345678", "qwertyuiop"):
        score = min(score, 1)
    strength = ("very weak", "very weak", "weak", "fair", "strong", "very strong")[score]
    return {"score": score, "strength": strength, "advice": [advice for kept, advice in rules if not kept]}


def is_prime(number: int) -> dict[str, bool | list[int]]:
    """Says whether a number is prime, and gives its prime factors.

    Args:
        number: A whole number from 2 to 10**12.
    """
    if not 2 <= number <= 10**12:
        raise ValueError("The number must be between 2 and 10**12.")
    factors, rest, divisor = [], number, 2
    while divisor * divisor <= rest:
        while rest % divisor == 0:
            factors.append(divisor)
            rest //= divisor
        divisor += 1
    if rest > 1:
        factors.append(rest)
    return {"prime": len(factors) == 1, "factors": factors}


def dice_odds(target_sum: int, dice: int, sides: int = 6, comparison: str = "exactly") -> dict[str, float]:
    """Computes the chance that the sum of some dice is exactly, at least or at most a number.

    Args:
        target_sum: The sum wanted.
        dice: How many dice, 1 to 10.
        sides: How many sides each has, 2 to 20.
        comparison: One of "exactly", "at least" and "at most".
    """
    if not (1 <= dice <= 10 and 2 <= sides <= 20) or comparison not in ("exactly", "at least", "at most"):
        raise ValueError("Between 1 and 10 dice with 2 to 20 sides are possible.")
    ways = {0: 1}
    for _ in range(dice):
        thrown: dict[int, int] = {}
        for total, count in ways.items():
            for side in range(1, sides + 1):
                thrown[total + side] = thrown.get(total + side, 0) + count
        ways = thrown
    low = 0 if comparison == "at most" else target_sum
    high = dice * sides if comparison == "at least" else target_sum
    favourable, possible = sum(count for total, count in ways.items() if low <= total <= high), sides**dice
    return {"ways": favourable, "of": possible, "percent": round(favourable / possible * 100, 2)}
