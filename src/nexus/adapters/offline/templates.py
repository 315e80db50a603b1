"""The tools that the offline model can write, one plain function each: written into an agent as it stands here."""


def bmi(weight_kg: float, height_cm: float) -> dict[str, float | str]:
    """Computes the body mass index and its category.

    Args:
        weight_kg: The weight in kilograms.
        height_cm: The height in centimetres; below 3 it is taken as metres.
    """
    if weight_kg <= 0 or height_cm <= 0:
        raise ValueError("Weight and height must be positive.")
    metres = height_cm if height_cm < 3 else height_cm / 100
    index = weight_kg / metres**2
    for limit, category in ((18.5, "underweight"), (25, "normal weight"), (30, "overweight")):
        if index < limit:
            return {"bmi": round(index, 1), "category": category, "height_m": metres}
    return {"bmi": round(index, 1), "category": "obesity", "height_m": metres}


def age_in_years(birth_date: str, on_date: str) -> int:
    """Computes the age in full years on a given day.

    Args:
        birth_date: The date of birth, as YYYY-MM-DD.
        on_date: The day on which the age is wanted, as YYYY-MM-DD.
    """
    born = [int(part) for part in birth_date.split("-")]
    day = [int(part) for part in on_date.split("-")]
    if len(born) != 3 or len(day) != 3 or day < born:
        raise ValueError("Both dates must be YYYY-MM-DD, the birth first.")
    return day[0] - born[0] - (1 if day[1:] < born[1:] else 0)


def apply_discount(
    price: float, discount_percent: float, further_percent: float = 0.0, price_is_reduced: bool = False
) -> dict[str, float]:
    """Takes one or two discounts in per cent off a price, or finds the price before them.

    Args:
        price: The price before the discount; with price_is_reduced, what is left to pay after it.
        discount_percent: The discount in per cent, 0 to 100.
        further_percent: A second discount in per cent, taken off what the first leaves.
        price_is_reduced: Whether the original price is wanted.
    """
    if price < 0 or not (0 <= discount_percent <= 100 and 0 <= further_percent <= 100):
        raise ValueError("The price must not be negative and a discount must be between 0 and 100.")
    left = (100 - discount_percent) * (100 - further_percent) / 10000
    if price_is_reduced and left == 0:
        raise ValueError("Nothing is left after a discount of 100 per cent.")
    original = price / left if price_is_reduced else price
    final = price if price_is_reduced else price * left
    return {"original_price": round(original, 2), "saved": round(original - final, 2), "final_price": round(final, 2)}


def split_bill(total: float, people: int = 1, tip_percent: float = 0.0) -> dict[str, float]:
    """Computes the tip on a bill, and splits both evenly between people.

    Args:
        total: The bill before the tip.
        people: How many people share it.
        tip_percent: The tip in per cent.
    """
    if people < 1 or total < 0 or tip_percent < 0:
        raise ValueError("There must be at least one person, and no negative amounts.")
    tip = round(total * tip_percent / 100, 2)
    return {"tip": tip, "total_with_tip": round(total + tip, 2), "per_person": round((total + tip) / people, 2)}
