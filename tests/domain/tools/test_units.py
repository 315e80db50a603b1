import pytest

from nexus.domain.tools.library.units import convert_units
from nexus.domain.tools.model import ToolError

RIGHT = [
    (10, "km", "mi", 6.21371192237), (10, "公里", "英里", 6.21371192237), (100, "°C", "°F", 212), (-40, "华氏度", "摄氏度", -40),
    (0, "摄氏度", "K", 273.15), (20, "degrees celsius", "degrees fahrenheit", 68), (1, "lb", "kg", 0.45359237), (1, "磅", "千克", 0.45359237),
    (5, "斤", "kg", 2.5), (1, "MB", "Mb", 8), (1, "kb", "B", 1000), (1, "GiB", "MB", 1073.741824), (1, "亩", "m²", 666.666666667),
    (1, "公顷", "亩", 15), (60, "mph", "km/h", 96.56064), (100, "kilometers per hour", "m/s", 27.7777777778), (1, "gallon", "liters", 3.785411784),
    (1, "square feet", "square meters", 0.09290304), (1, "cubic feet", "L", 28.316846592), (1, "kWh", "MJ", 3.6), (1, "atm", "psi", 14.6959487755),
    (180, "degrees", "rad", 3.14159265359), (6, "feet", "cm", 182.88), (5, "inches", "cm", 12.7), (1, "week", "hours", 168), (5, "小时", "分钟", 300),
    (1, "knots", "km/h", 1.852), (1, "海里", "米", 1852), (2, "cups", "mL", 473.176473), (1, "大卡", "千焦", 4.184), (72, "in", "ft", 6),
    (98.6, "F", "C", 37), (1, "stone", "pounds", 14), (1, "light year", "km", 9460730472580.8),
]  # fmt: skip


@pytest.mark.parametrize(("value", "source", "target", "result"), RIGHT)
def test_quantities_are_converted(value: float, source: str, target: str, result: float) -> None:
    assert convert_units(value, source, target)["result"] == pytest.approx(result, rel=1e-11)


def test_the_text_is_rounded_for_people() -> None:
    assert convert_units(10, "km", "mi")["text"] == "10 km = 6.2137 mi"
    assert convert_units("１０", "公里", "米")["text"] == "10 km = 10000 m"  # type: ignore[arg-type]  # as a model may write it


@pytest.mark.parametrize(
    ("value", "source", "target"),
    [(1, "km", "kg"), (1, "foo", "m"), (-300, "C", "K"), (float("nan"), "m", "km"), (1, "", "m"), (1, "x" * 99, "m")],
)
def test_what_cannot_be_converted_is_a_sentence(value: float, source: str, target: str) -> None:
    with pytest.raises(ToolError):
        convert_units(value, source, target)
