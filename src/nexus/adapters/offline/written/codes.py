"""Tools about numerals, codes, chances and words: each is written into an agent as it stands here."""


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
