"""Tools about body and age: each is written into an agent as it stands here."""


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
