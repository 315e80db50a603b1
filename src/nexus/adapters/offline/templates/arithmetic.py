"""Templates of arithmetic: primes, divisors, sequences, averages, chances."""

from nexus.adapters.offline.skills.skill import Example, Topic
from nexus.adapters.offline.templates.template import Check, Template


def is_prime(number: int) -> dict[str, bool | list[int]]:
    """Says whether a number is prime, and gives its prime factors.

    Args:
        number: A whole number from 2 to 10**12.

    Returns:
        Whether it is prime, and its prime factors in order.
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


def greatest_common_divisor(first: int, second: int) -> dict[str, int]:
    """Computes the greatest common divisor and the least common multiple of two whole numbers.

    Args:
        first: A positive whole number.
        second: Another one.

    Returns:
        Both numbers.
    """
    if first < 1 or second < 1:
        raise ValueError("Both numbers must be positive.")
    larger, smaller = first, second
    while smaller:
        larger, smaller = smaller, larger % smaller
    return {"gcd": larger, "lcm": first * second // larger}


def fibonacci(count: int) -> list[int]:
    """Lists the first Fibonacci numbers.

    Args:
        count: How many, 1 to 200.

    Returns:
        The numbers, beginning with 0 and 1.
    """
    if not 1 <= count <= 200:
        raise ValueError("Between 1 and 200 numbers are possible.")
    numbers = [0, 1]
    while len(numbers) < count:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[:count]


def average_of(values: list[float]) -> dict[str, float]:
    """Computes average, median, smallest and largest of some values, such as grades.

    Args:
        values: The numbers.

    Returns:
        The four figures, rounded to two decimals.
    """
    if not values:
        raise ValueError("At least one value is needed.")
    ordered, middle = sorted(values), len(values) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return {
        "average": round(sum(values) / len(values), 2),
        "median": round(median, 2),
        "minimum": ordered[0],
        "maximum": ordered[-1],
    }


def dice_odds(target_sum: int, dice: int = 2, sides: int = 6) -> dict[str, float]:
    """Computes the chance that some dice show a sum.

    Args:
        target_sum: The sum wanted.
        dice: How many dice, 1 to 10.
        sides: How many sides each has, 2 to 20.

    Returns:
        In how many ways it can fall, of how many, and the chance in per cent.
    """
    if not (1 <= dice <= 10 and 2 <= sides <= 20):
        raise ValueError("Between 1 and 10 dice with 2 to 20 sides are possible.")
    ways = {0: 1}
    for _ in range(dice):
        thrown: dict[int, int] = {}
        for total, count in ways.items():
            for side in range(1, sides + 1):
                thrown[total + side] = thrown.get(total + side, 0) + count
        ways = thrown
    favourable, possible = ways.get(target_sum, 0), sides**dice
    return {"ways": favourable, "of": possible, "percent": round(favourable / possible * 100, 2)}


TEMPLATES = (
    Template(
        function=is_prime,
        topic=Topic(
            en="Prime check",
            zh="质数判断",
            category="math",
            words=r"\bprimes?\b|\bfactori[sz]|\bprime factor|质数|素数|质因数|分解因数",
        ),
        checks=(
            Check({"number": 97}, {"prime": True, "factors": [97]}),
            Check({"number": 84}, {"prime": False, "factors": [2, 2, 3, 7]}),
        ),
        refuses=({"number": 1},),
        tell={
            "en": "Is {number} prime? **{prime}**. Prime factors: {factors}.",
            "zh": "{number}是质数吗？**{prime}**。质因数：{factors}。",
        },
        examples={
            "en": (Example("Is 97 a prime number?", ("yes", "97")),),
            "zh": (Example("97是质数吗？", ("是", "97")),),
        },
    ),
    Template(
        function=greatest_common_divisor,
        topic=Topic(
            en="Greatest common divisor",
            zh="最大公约数",
            category="math",
            words=r"\bgcd\b|\blcm\b|greatest common|least common|最大公约数|最小公倍数",
        ),
        checks=(
            Check({"first": 12, "second": 18}, {"gcd": 6, "lcm": 36}),
            Check({"first": 7, "second": 5}, {"gcd": 1, "lcm": 35}),
        ),
        refuses=({"first": 0, "second": 5},),
        tell={
            "en": "Of {first} and {second}, the greatest common divisor is **{gcd}** and the least common multiple is **{lcm}**.",
            "zh": "{first}和{second}的最大公约数是**{gcd}**，最小公倍数是**{lcm}**。",
        },
        examples={
            "en": (Example("What is the gcd of 12 and 18?", ("6", "36")),),
            "zh": (Example("12和18的最大公约数是多少？", ("6",)),),
        },
    ),
    Template(
        function=fibonacci,
        topic=Topic(en="Fibonacci numbers", zh="斐波那契数列", category="math", words=r"\bfibonacci|斐波那契"),
        checks=(Check({"count": 8}, [0, 1, 1, 2, 3, 5, 8, 13]), Check({"count": 1}, [0])),
        refuses=({"count": 0},),
        tell={
            "en": "The first {count} Fibonacci numbers: **{result}**.",
            "zh": "前{count}个斐波那契数：**{result}**。",
        },
        examples={
            "en": (Example("List the first 8 Fibonacci numbers", ("0, 1, 1, 2, 3, 5, 8, 13",)),),
            "zh": (Example("列出前8个斐波那契数", ("0, 1, 1, 2, 3, 5, 8, 13",)),),
        },
    ),
    Template(
        function=average_of,
        topic=Topic(
            en="Grade average",
            zh="平均分",
            category="math",
            words=r"\bgrades?\b.*\baverage|\baverages?\b(?!.*\b(?:csv|column|table|spreadsheet|by)\b)|\bgpa\b|\bmedians?\b|平均分|平均值|平均数|中位数",
        ),
        asks=r"\baverages?\b|\bmean\b|\bmedian|\bgpa\b|平均|中位数",
        checks=(
            Check(
                {"values": [80.0, 90.0, 100.0]}, {"average": 90.0, "median": 90.0, "minimum": 80.0, "maximum": 100.0}
            ),
            Check({"values": [1.0, 2.0]}, {"average": 1.5, "median": 1.5, "minimum": 1.0, "maximum": 2.0}),
        ),
        refuses=({"values": []},),
        tell={
            "en": "The average is **{average}** (median {median}, smallest {minimum}, largest {maximum}).",
            "zh": "平均值是**{average}**（中位数{median}，最小{minimum}，最大{maximum}）。",
        },
        examples={
            "en": (Example("What is the average of 80, 90 and 100?", ("90",)),),
            "zh": (Example("80、90、100的平均分是多少？", ("90",)),),
        },
    ),
    Template(
        function=dice_odds,
        topic=Topic(en="Dice odds", zh="骰子概率", category="games", words=r"\bdice\b|骰子"),
        asks=r"\bdice\b|\bdie\b|骰子",
        cues={
            "dice": (r"({n})\s*(?:\w+-sided )?dice", r"({n})\s*个?(?:\w+面)?骰子"),
            "sides": (r"({n})[\s-]*sided", r"\bd({n})\b", r"({n})面"),
            "target_sum": (
                r"(?:sum|total|rolling|roll|get|throw)\w*(?: of| a| is| to)*\s*({n})",
                r"(?:和为|之和[为是]?|点数[为是]?|掷出)\s*({n})",
            ),
        },
        checks=(
            Check({"target_sum": 7}, {"ways": 6, "of": 36, "percent": 16.67}),
            Check({"target_sum": 1}, {"ways": 0, "of": 36, "percent": 0.0}),
        ),
        refuses=({"target_sum": 7, "dice": 0},),
        tell={
            "en": "The sum {target_sum} falls in {ways} of {of} ways: **{percent}%**.",
            "zh": "点数之和{target_sum}有{ways}/{of}种可能：**{percent}%**。",
        },
        examples={
            "en": (Example("What are the odds of a sum of 7 with 2 dice?", ("16.67",)),),
            "zh": (Example("2个骰子点数之和为7的概率是多少？", ("16.67",)),),
        },
    ),
)
