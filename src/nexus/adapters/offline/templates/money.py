"""Templates about money: taxes, discounts, tips, shared bills, fuel and change in per cent."""

from nexus.adapters.offline.skills.skill import Example, Topic
from nexus.adapters.offline.templates.template import Check, Template


def add_tax(net_amount: float, rate_percent: float) -> dict[str, float]:
    """Adds a tax such as VAT to a net amount.

    Args:
        net_amount: The amount before tax.
        rate_percent: The tax rate in per cent.

    Returns:
        The tax and the gross amount, rounded to cents.
    """
    if net_amount < 0 or rate_percent < 0:
        raise ValueError("Amount and rate must not be negative.")
    tax = round(net_amount * rate_percent / 100, 2)
    return {"tax": tax, "gross": round(net_amount + tax, 2)}


def apply_discount(price: float, discount_percent: float) -> dict[str, float]:
    """Takes a discount in per cent off a price.

    Args:
        price: The price before the discount.
        discount_percent: The discount in per cent, 0 to 100.

    Returns:
        What is saved and what is left to pay, rounded to cents.
    """
    if price < 0 or not 0 <= discount_percent <= 100:
        raise ValueError("The price must not be negative and the discount must be between 0 and 100.")
    saved = round(price * discount_percent / 100, 2)
    return {"saved": saved, "final_price": round(price - saved, 2)}


def split_bill(total: float, people: int, tip_percent: float = 0.0) -> dict[str, float]:
    """Splits a bill evenly between people, with a tip on top.

    Args:
        total: The bill before the tip.
        people: How many people share it.
        tip_percent: The tip in per cent.

    Returns:
        The tip, the whole sum and the share of each person, rounded to cents.
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

    Returns:
        The tip and the sum to pay, rounded to cents.
    """
    if total < 0 or tip_percent < 0:
        raise ValueError("Amounts must not be negative.")
    tip = round(total * tip_percent / 100, 2)
    return {"tip": tip, "total_with_tip": round(total + tip, 2)}


def fuel_cost(distance_km: float, litres_per_100_km: float, price_per_litre: float) -> dict[str, float]:
    """Computes how much fuel a trip takes and what it costs.

    Args:
        distance_km: The length of the trip in kilometres.
        litres_per_100_km: The consumption in litres per 100 km.
        price_per_litre: The price of one litre.

    Returns:
        The litres used and their cost, rounded to two decimals.
    """
    if min(distance_km, litres_per_100_km, price_per_litre) < 0:
        raise ValueError("Distance, consumption and price must not be negative.")
    litres = distance_km * litres_per_100_km / 100
    return {"litres": round(litres, 2), "cost": round(litres * price_per_litre, 2)}


def profit_margin(cost: float, revenue: float) -> dict[str, float]:
    """Computes profit and profit margin from cost and revenue.

    Args:
        cost: What it cost.
        revenue: What it was sold for.

    Returns:
        The profit, and the margin in per cent of the revenue.
    """
    if revenue <= 0:
        raise ValueError("The revenue must be positive.")
    return {"profit": round(revenue - cost, 2), "margin_percent": round((revenue - cost) / revenue * 100, 2)}


TEMPLATES = (
    Template(
        function=add_tax,
        topic=Topic(
            en="Tax calculator",
            zh="税额计算",
            category="finance",
            words=r"\b(?:vat|gst|sales tax|add(?:s|ing)? (?:\w+ )?tax|tax(?:es)?\b(?! return))|增值税|含税|税额|消费税|加税",
        ),
        asks=r"\b(?:vat|gst|tax)\b|税",
        cues={
            "rate_percent": (r"({n})\s*%",),
            "net_amount": (
                r"(?:to|on|of|for|net|price)\s*({n})(?!\s*%)",
                r"(?:金额|价格|净价|对|给)\D{0,4}({n})(?!\s*%)",
            ),
        },
        checks=(
            Check({"net_amount": 100.0, "rate_percent": 20.0}, {"tax": 20.0, "gross": 120.0}),
            Check({"net_amount": 0.0, "rate_percent": 19.0}, {"tax": 0.0, "gross": 0.0}),
        ),
        refuses=({"net_amount": -1.0, "rate_percent": 20.0},),
        tell={
            "en": "Tax: {net_amount} × {rate_percent}% = {tax}. Gross amount: {net_amount} + {tax} = **{gross}**.",
            "zh": "税额：{net_amount} × {rate_percent}% = {tax}。含税金额：{net_amount} + {tax} = **{gross}**。",
        },
        examples={"en": (Example("Add 20% VAT to 250", ("300",)),), "zh": (Example("给250加上20%的税", ("300",)),)},
    ),
    Template(
        function=apply_discount,
        topic=Topic(
            en="Discount calculator",
            zh="折扣计算",
            category="finance",
            words=r"\bdiscount|\b(?:sale|reduced) price|\bpercent off|折扣|打折|优惠价",
        ),
        asks=r"\bdiscount|%\s*off\b|\boff\b.*%|\bsale\b|折扣|打折|优惠|减免",
        cues={"discount_percent": (r"({n})\s*%",)},
        checks=(
            Check({"price": 80.0, "discount_percent": 25.0}, {"saved": 20.0, "final_price": 60.0}),
            Check({"price": 9.99, "discount_percent": 0.0}, {"saved": 0.0, "final_price": 9.99}),
        ),
        refuses=({"price": 10.0, "discount_percent": 120.0},),
        tell={
            "en": "Discount: {price} × {discount_percent}% = {saved}. To pay: {price} − {saved} = **{final_price}**.",
            "zh": "优惠：{price} × {discount_percent}% = {saved}。应付：{price} − {saved} = **{final_price}**。",
        },
        examples={
            "en": (Example("What is the price of 80 with a 25% discount?", ("60",)),),
            "zh": (Example("原价80，优惠25%，折扣后多少钱？", ("60",)),),
        },
    ),
    Template(
        function=split_bill,
        topic=Topic(
            en="Bill splitter",
            zh="账单分摊",
            category="finance",
            words=r"\bsplit(?:s|ting)?\b.*\b(?:bill|cost|check|expense)|\bshare(?:s|d)? (?:a |the )?(?:bill|cost)|AA制?|分摊|平摊|均摊|分账",
        ),
        asks=r"\bsplit|\bshare\b|\bper person\b|AA|分摊|平摊|均摊|分账|每人",
        cues={
            "people": (r"({n})\s*(?:people|persons?|friends|ways|guests|of us|位|个?人)", r"(?:between|among)\s*({n})"),
            "tip_percent": (r"({n})\s*%",),
        },
        checks=(
            Check(
                {"total": 120.0, "people": 4, "tip_percent": 10.0},
                {"tip": 12.0, "total_with_tip": 132.0, "per_person": 33.0},
            ),
            Check({"total": 90.0, "people": 3}, {"tip": 0.0, "total_with_tip": 90.0, "per_person": 30.0}),
        ),
        refuses=({"total": 10.0, "people": 0},),
        tell={
            "en": "The bill of {total} with a tip of {tip} is {total_with_tip}. Split between {people} people, each pays **{per_person}**.",
            "zh": "账单{total}加小费{tip}共{total_with_tip}。{people}人平摊，每人付**{per_person}**。",
        },
        examples={
            "en": (Example("Split a bill of 120 between 4 people with a 10% tip", ("33",)),),
            "zh": (Example("账单120，4个人平摊，小费10%", ("33",)),),
        },
    ),
    Template(
        function=compute_tip,
        topic=Topic(
            en="Tip calculator",
            zh="小费计算",
            category="finance",
            words=r"\btips? (?:calculator|on|for a)|\b(?:calculat|comput)\w+ (?:the |a )?(?:\w+ )?tips?\b|\bgratuit|小费",
        ),
        asks=r"\btip\b|\bgratuity|小费",
        cues={"tip_percent": (r"({n})\s*%",)},
        checks=(
            Check({"total": 60.0, "tip_percent": 15.0}, {"tip": 9.0, "total_with_tip": 69.0}),
            Check({"total": 0.0}, {"tip": 0.0, "total_with_tip": 0.0}),
        ),
        refuses=({"total": -5.0},),
        tell={
            "en": "The tip on {total} is **{tip}**, so you pay {total_with_tip}.",
            "zh": "{total}的小费是**{tip}**，共付{total_with_tip}。",
        },
        examples={
            "en": (Example("What is a 15% tip on 60?", ("9",)),),
            "zh": (Example("消费60，小费15%是多少？", ("9",)),),
        },
    ),
    Template(
        function=fuel_cost,
        topic=Topic(
            en="Fuel cost calculator",
            zh="油费计算",
            category="travel",
            words=r"\bfuel|\bgas(?:oline)? cost|\bpetrol|\btrip cost|油费|油耗|燃油",
        ),
        cues={
            "distance_km": (r"(?<!per )(?<!/)({n})\s*(?:km|kilomet\w+|公里|千米)(?!\s*(?:耗|油耗))",),
            "litres_per_100_km": (
                r"({n})\s*(?:l|lit(?:er|re)s?|升)\s*(?:per|/|每)\s*100",
                r"(?:百公里|每100\s*(?:km|公里))\D{0,6}({n})",
                r"油耗\D{0,4}({n})",
            ),
            "price_per_litre": (
                r"({n})\s*(?:per|a|/|每)\s*(?:l\b|lit)",
                r"(?:每升|油价)\D{0,6}({n})",
                r"({n})\s*元?\s*(?:一|每|/)\s*升",
            ),
        },
        checks=(
            Check(
                {"distance_km": 500.0, "litres_per_100_km": 6.0, "price_per_litre": 1.8}, {"litres": 30.0, "cost": 54.0}
            ),
        ),
        refuses=({"distance_km": -1.0, "litres_per_100_km": 6.0, "price_per_litre": 1.8},),
        tell={
            "en": "{distance_km} km × {litres_per_100_km} l/100 km = {litres} l; × {price_per_litre} per litre = **{cost}**.",
            "zh": "{distance_km}公里 × 每百公里{litres_per_100_km}升 = {litres}升；× 每升{price_per_litre} = **{cost}**。",
        },
        examples={
            "en": (Example("Fuel cost for 500 km at 6 litres per 100 km and 1.8 per litre", ("54",)),),
            "zh": (Example("500公里，百公里油耗6升，油价1.8，油费多少？", ("54",)),),
        },
    ),
    Template(
        function=profit_margin,
        topic=Topic(en="Profit margin", zh="利润率", category="finance", words=r"\bprofit|\bmargins?\b|利润|毛利"),
        cues={
            "cost": (r"cost\w*\D{0,12}({n})", r"成本\D{0,4}({n})"),
            "revenue": (r"(?:revenue|sold|sells?|price)\D{0,12}({n})", r"(?:收入|售价|卖)\D{0,4}({n})"),
        },
        checks=(
            Check({"cost": 60.0, "revenue": 80.0}, {"profit": 20.0, "margin_percent": 25.0}),
            Check({"cost": 100.0, "revenue": 80.0}, {"profit": -20.0, "margin_percent": -25.0}),
        ),
        refuses=({"cost": 1.0, "revenue": 0.0},),
        tell={
            "en": "Profit: {revenue} − {cost} = {profit}; margin: {profit} ÷ {revenue} = **{margin_percent}%**.",
            "zh": "利润：{revenue} − {cost} = {profit}；利润率：{profit} ÷ {revenue} = **{margin_percent}%**。",
        },
        examples={
            "en": (Example("What is the profit margin when the cost is 60 and the revenue is 80?", ("25",)),),
            "zh": (Example("成本60，售价80，利润率是多少？", ("25",)),),
        },
    ),
)
