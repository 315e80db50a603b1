"""Templates about body and age."""

from nexus.adapters.offline.skills.skill import Example, Topic
from nexus.adapters.offline.templates.template import Check, Template


def bmi(weight_kg: float, height_cm: float) -> dict[str, float | str]:
    """Computes the body mass index and its category.

    Args:
        weight_kg: The weight in kilograms.
        height_cm: The height in centimetres; below 3 it is taken as metres.

    Returns:
        The index, rounded to one decimal, and the category for adults.
    """
    if weight_kg <= 0 or height_cm <= 0:
        raise ValueError("Weight and height must be positive.")
    metres = height_cm if height_cm < 3 else height_cm / 100
    index = weight_kg / metres**2
    for limit, category in ((18.5, "underweight"), (25, "normal weight"), (30, "overweight")):
        if index < limit:
            return {"bmi": round(index, 1), "category": category, "height_m": metres}
    return {"bmi": round(index, 1), "category": "obesity", "height_m": metres}


def daily_calories(weight_kg: float, height_cm: float, age_years: int, sex: str = "female") -> int:
    """Estimates the energy that a resting body uses in a day, by the Mifflin-St Jeor formula.

    Args:
        weight_kg: The weight in kilograms.
        height_cm: The height in centimetres.
        age_years: The age in years.
        sex: Either "female" or "male".

    Returns:
        Kilocalories per day, rounded.
    """
    if min(weight_kg, height_cm, age_years) <= 0:
        raise ValueError("Weight, height and age must be positive.")
    if sex not in ("female", "male"):
        raise ValueError("The formula knows female and male.")
    return round(10 * weight_kg + 6.25 * height_cm - 5 * age_years + (5 if sex == "male" else -161))


def age_in_years(birth_date: str, on_date: str) -> int:
    """Computes the age in full years on a given day.

    Args:
        birth_date: The date of birth, as YYYY-MM-DD.
        on_date: The day on which the age is wanted, as YYYY-MM-DD.

    Returns:
        Full years.
    """
    born = [int(part) for part in birth_date.split("-")]
    day = [int(part) for part in on_date.split("-")]
    if len(born) != 3 or len(day) != 3 or day < born:
        raise ValueError("Both dates must be YYYY-MM-DD, the birth first.")
    return day[0] - born[0] - (1 if day[1:] < born[1:] else 0)


_WEIGHT = (r"({n})\s*(?:kg|kilos?|kilograms?|公斤|千克)(?![A-Za-z])", r"(?:weigh\w*|体重)\D{0,8}({n})")
_HEIGHT = (r"({n})\s*(?:cm|centimet\w+|厘米|公分)", r"(?:height|tall|身高)\D{0,8}({n})", r"({n})\s*(?:cm\s*)?tall")

TEMPLATES = (
    Template(
        function=bmi,
        topic=Topic(
            en="BMI calculator",
            zh="BMI计算",
            category="health",
            words=r"\bbmi\b|body.mass|BMI|体重指数|身体质量指数|体质指数",
        ),
        asks=r"\bbmi\b|body.mass|BMI|体重|体质指数|\bweigh.*\b(?:tall|height|cm)",
        cues={"weight_kg": _WEIGHT, "height_cm": _HEIGHT},
        checks=(
            Check({"weight_kg": 70.0, "height_cm": 175.0}, {"bmi": 22.9, "category": "normal weight"}),
            Check({"weight_kg": 50.0, "height_cm": 175.0}, {"bmi": 16.3, "category": "underweight"}),
            Check({"weight_kg": 80.0, "height_cm": 1.8}, {"bmi": 24.7, "category": "normal weight"}),
            Check({"weight_kg": 100.0, "height_cm": 175.0}, {"bmi": 32.7, "category": "obesity"}),
        ),
        refuses=({"weight_kg": 70.0, "height_cm": 0.0}, {"weight_kg": -1.0, "height_cm": 170.0}),
        tell={
            "en": "BMI = weight ÷ height² = {weight_kg} kg ÷ ({height_cm})² = **{bmi}**, category: {category}.",
            "zh": "BMI = 体重 ÷ 身高² = {weight_kg}千克 ÷ （{height_cm}）² = **{bmi}**，类别：{category}。",
        },
        examples={
            "en": (Example("What is the BMI for 70 kg and 175 cm?", ("22.9",)),),
            "zh": (Example("体重70公斤，身高175厘米，BMI是多少？", ("22.9",)),),
        },
    ),
    Template(
        function=daily_calories,
        topic=Topic(
            en="Calorie estimate",
            zh="热量估算",
            category="health",
            words=r"\bcalori|\bbmr\b|\bmetaboli|卡路里|热量|基础代谢",
        ),
        cues={
            "weight_kg": _WEIGHT,
            "height_cm": _HEIGHT,
            "age_years": (r"({n})[\s-]*(?:years?|岁)", r"(?:age|aged|年龄)\D{0,6}({n})"),
            "sex": {"male": r"\b(?:male|man)\b|男", "female": r"\b(?:female|woman)\b|女"},
        },
        checks=(
            Check({"weight_kg": 70.0, "height_cm": 175.0, "age_years": 30, "sex": "male"}, 1649),
            Check({"weight_kg": 60.0, "height_cm": 165.0, "age_years": 30}, 1320),
        ),
        refuses=({"weight_kg": 0.0, "height_cm": 165.0, "age_years": 30},),
        tell={
            "en": "At rest, that body uses about **{result}** kcal a day (Mifflin-St Jeor).",
            "zh": "静息时每天约消耗**{result}**千卡（Mifflin-St Jeor公式）。",
        },
        examples={
            "en": (Example("Calories for a male, 70 kg, 175 cm, 30 years", ("1649",)),),
            "zh": (Example("男，70公斤，175厘米，30岁，基础代谢是多少？", ("1649",)),),
        },
    ),
    Template(
        function=age_in_years,
        topic=Topic(
            en="Age calculator",
            zh="年龄计算",
            category="dates",
            words=r"\bages? (?:calculator|in years|of (?:a |the )?person|from)|\bhow old|\b(?:comput|calculat)\w+ (?:\w+ )?ages?\b|年龄|多少岁|几岁",
        ),
        asks=r"\bhow old|\bage\b|年龄|多少岁|几岁",
        checks=(
            Check({"birth_date": "1990-05-20", "on_date": "2026-05-19"}, 35),
            Check({"birth_date": "1990-05-20", "on_date": "2026-05-20"}, 36),
        ),
        refuses=({"birth_date": "2026-01-02", "on_date": "2026-01-01"},),
        tell={
            "en": "Born on {birth_date}, the age on {on_date} is **{result}** years.",
            "zh": "{birth_date}出生，到{on_date}是**{result}**岁。",
        },
        examples={
            "en": (Example("How old is somebody born on 1990-05-20 on 2026-05-19?", ("35",)),),
            "zh": (Example("1990年5月20日出生的人在2026年5月19日多少岁？", ("35",)),),
        },
    ),
)
