"""Tools about money: each is written into an agent as it stands here."""


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


def split_bill(total: float, people: int, tip_percent: float = 0.0) -> dict[str, float]:
    """Splits a bill evenly between people, with a tip on top.

    Args:
        total: The bill before the tip.
        people: How many people share it.
        tip_percent: The tip in per cent.
    """
    if people < 1 or total < 0 or tip_percent < 0:
        raise ValueError("There must be at least one person, and no negative amounts.")
    tip = round(total * tip_percent / 100, 2)
    return {"tip": tip, "total_with_tip": round(total + tip, 2), "per_person": round((total + tip) / people, 2)}


def compute_tip(total: float, tip_percent: float = 15.0) -> dict[str, float]:
    """Computes the tip on a bill.

    Args:
        total: The bill before the tip.
        tip_percent: The tip in per cent.
    """
    if total < 0 or tip_percent < 0:
        raise ValueError("Amounts must not be negative.")
    tip = round(total * tip_percent / 100, 2)
    return {"tip": tip, "total_with_tip": round(total + tip, 2)}


def fuel_cost(distance_km: float, litres_per_100_km: float, price_per_litre: float = 0.0) -> dict[str, float]:
    """Computes how much fuel a trip takes and what it costs.

    Args:
        distance_km: The length of the trip in kilometres.
        litres_per_100_km: The consumption in litres per 100 km.
        price_per_litre: The price of one litre; 0 when only the fuel is wanted.
    """
    if min(distance_km, litres_per_100_km, price_per_litre) < 0:
        raise ValueError("Distance, consumption and price must not be negative.")
    litres = distance_km * litres_per_100_km / 100
    return {"litres": round(litres, 2), "cost": round(litres * price_per_litre, 2)}
