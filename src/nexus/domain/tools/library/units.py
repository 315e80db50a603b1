"""Units of measure, by exact factors, under their English and Chinese names."""

import re
import unicodedata
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from nexus.domain.tools.library.functions import PI
from nexus.domain.tools.library.numbers import convert_for_json, convert_to_decimal, parse_exact, show_number
from nexus.domain.tools.model import ToolError


class Unit(NamedTuple):
    """What one unit is in the first unit of its kind: `value * factor + offset`."""

    symbol: str
    kind: str
    factor: Fraction
    offset: Fraction = Fraction(0)


_TABLE: Mapping[str, str] = {
    "length": """
        m 1 meter metre 米 公尺 | km 1000 kilometer kilometre 公里 千米 | cm 0.01 centimeter centimetre 厘米 公分
        | mm 0.001 millimeter millimetre 毫米 | μm 1e-6 um micrometer micrometre micron 微米 | nm 1e-9 nanometer nanometre 纳米
        | dm 0.1 decimeter decimetre 分米 | mi 1609.344 mile 英里 | yd 0.9144 yard 码 | ft 0.3048 foot feet ' 英尺 呎
        | in 0.0254 inch inches " 英寸 吋 | nmi 1852 nautical_mile 海里 | ly 9460730472580800 light_year 光年
        | au 149597870700 astronomical_unit 天文单位 | 里 500 华里 | 丈 10/3 | 尺 1/3 市尺 | 寸 1/30 市寸""",
    "mass": """
        kg 1 kilogram kilo 千克 公斤 | g 0.001 gram 克 | mg 1e-6 milligram 毫克 | μg 1e-9 ug mcg microgram 微克
        | t 1000 tonne metric_ton ton 吨 公吨 | lb 0.45359237 lbs pound 磅 | oz 0.028349523125 ounce 盎司
        | st 6.35029318 stone 英石 | short_ton 907.18474 us_ton 短吨 | long_ton 1016.0469088 长吨
        | 斤 0.5 市斤 jin catty | 两 0.05 市两 liang | 钱 0.005 | ct 0.0002 carat 克拉""",
    "area": """
        m² 1 m2 m^2 sqm sq_m square_meter square_metre 平方米 平米 平方公尺
        | km² 1e6 km2 km^2 square_kilometer square_kilometre 平方公里 平方千米
        | cm² 1e-4 cm2 cm^2 square_centimeter square_centimetre 平方厘米 | mm² 1e-6 mm2 mm^2 square_millimeter 平方毫米
        | ha 10000 hectare 公顷 | acre 4046.8564224 英亩 | ft² 0.09290304 ft2 ft^2 sqft sq_ft square_foot square_feet 平方英尺
        | in² 0.00064516 in2 in^2 sq_in square_inch square_inches 平方英寸 | yd² 0.83612736 yd2 yd^2 sq_yd square_yard 平方码
        | mi² 2589988.110336 mi2 mi^2 sq_mi square_mile 平方英里 | 亩 2000/3 市亩 mu""",
    "volume": """
        L 1 l liter litre 升 公升 | mL 0.001 ml milliliter millilitre 毫升 cc | cL 0.01 cl centiliter | dL 0.1 dl deciliter
        | m³ 1000 m3 m^3 cubic_meter cubic_metre 立方米 立方 | cm³ 0.001 cm3 cm^3 cubic_centimeter 立方厘米
        | ft³ 28.316846592 ft3 ft^3 cubic_foot cubic_feet 立方英尺 | in³ 0.016387064 in3 in^3 cubic_inch cubic_inches 立方英寸
        | gal 3.785411784 gallon us_gallon 加仑 | imp_gal 4.54609 uk_gallon imperial_gallon 英制加仑 英加仑
        | qt 0.946352946 quart 夸脱 | pt 0.473176473 pint 品脱 | cup 0.2365882365 杯
        | fl_oz 0.0295735295625 floz fluid_ounce 液盎司 | tbsp 0.01478676478125 tablespoon 汤匙
        | tsp 0.00492892159375 teaspoon 茶匙 | bbl 158.987294928 barrel 桶""",
    "speed": """
        m/s 1 mps meter_per_second metre_per_second meters_per_second 米每秒 米/秒
        | km/h 5/18 kmh kph kilometer_per_hour kilometers_per_hour 公里每小时 千米每小时 公里/小时 千米/小时 公里/时
        | mph 0.44704 mi/h mile_per_hour miles_per_hour 英里每小时 英里/小时
        | kn 1852/3600 knot kt 节 | ft/s 0.3048 fps foot_per_second feet_per_second 英尺每秒 | mach 340.29 马赫""",
    "time": """
        s 1 sec second 秒 秒钟 | ms 0.001 millisecond 毫秒 | μs 1e-6 us microsecond 微秒 | ns 1e-9 nanosecond 纳秒
        | min 60 minute 分 分钟 | h 3600 hr hour 小时 时 钟头 | d 86400 day 天 日 | wk 604800 week 周 星期 礼拜
        | mo 2629746 month 月 个月 | yr 31556952 y year 年""",
    "data size": """
        B 1 byte 字节 | bit 0.125 b 比特 位 | kB 1e3 KB kilobyte 千字节 | MB 1e6 megabyte 兆字节 | GB 1e9 gigabyte 吉字节
        | TB 1e12 terabyte 太字节 | PB 1e15 petabyte | KiB 1024 kibibyte | MiB 1048576 mebibyte | GiB 1073741824 gibibyte
        | TiB 1099511627776 tebibyte | kbit 125 Kb kilobit | Mbit 125000 Mb megabit | Gbit 125000000 Gb gigabit""",
    "energy": """
        J 1 joule 焦耳 焦 | kJ 1000 kilojoule 千焦 | MJ 1e6 megajoule 兆焦 | cal 4.184 calorie 卡 卡路里
        | kcal 4184 kilocalorie 大卡 千卡 | Wh 3600 watt_hour 瓦时 | kWh 3600000 kilowatt_hour 千瓦时 度电
        | BTU 1055.05585262 btu 英热单位 | eV 1.602176634e-19 electronvolt 电子伏特""",
    "power": """
        W 1 watt 瓦 瓦特 | kW 1000 kilowatt 千瓦 | MW 1e6 megawatt 兆瓦 | hp 745.69987158227022 horsepower 英制马力
        | PS 735.49875 metric_horsepower 马力 公制马力""",
    "pressure": """
        Pa 1 pascal 帕 帕斯卡 | kPa 1000 kilopascal 千帕 | MPa 1e6 megapascal 兆帕 | hPa 100 hectopascal 百帕 | bar 1e5 巴
        | mbar 100 millibar 毫巴 | atm 101325 atmosphere 标准大气压 大气压
        | psi 6894.757293168361336722673445346890693781387562775125550251100502201004402008804017608 磅每平方英寸
        | mmHg 133.322387415 毫米汞柱 | torr 101325/760 托 | inHg 3386.389 inch_of_mercury 英寸汞柱""",
}
_TEMPERATURES: Mapping[str, tuple[Unit, str]] = {
    "K": (Unit("K", "temperature", Fraction(1)), "kelvin 开尔文 开 绝对温度"),
    "°C": (Unit("°C", "temperature", Fraction(1), Fraction("273.15")), "c celsius centigrade degc 摄氏度 摄氏 度"),
    "°F": (
        Unit("°F", "temperature", Fraction(5, 9), Fraction("459.67") * Fraction(5, 9)),
        "f fahrenheit degf 华氏度 华氏",
    ),
    "°R": (Unit("°R", "temperature", Fraction(5, 9)), "rankine"),
}
_ANGLES: Mapping[str, tuple[Unit, str]] = {
    "rad": (Unit("rad", "angle", Fraction(1)), "radian 弧度"),
    "°": (Unit("°", "angle", PI / 180), "deg degree 角度"),
}
_LONGEST = 60


def convert_units(value: float, from_unit: str, to_unit: str) -> dict[str, Any]:
    """Converts a quantity between units of length, mass, volume, area, speed, time, temperature, data size, energy, power, pressure or angle.

    Gallons, pints and cups are US ones; kB, MB and GB count thousands, KiB, MiB and GiB 1024; a month is a twelfth of a year
    of 365.2425 days. Chinese names such as 公里, 斤 and 摄氏度 are understood.

    Args:
        value: The quantity.
        from_unit: The unit it is in, for example "km", "pounds" or "摄氏度".
        to_unit: The unit that is wanted, for example "mi", "kg" or "华氏度".
    """
    amount, source, target = parse_exact(value), find_unit(from_unit), find_unit(to_unit)
    if source.kind != target.kind:
        raise ToolError(
            f"{source.symbol} is a unit of {source.kind}, {target.symbol} one of {target.kind}: they cannot be converted."
        )
    base = amount * source.factor + source.offset
    if source.kind == "temperature" and base < 0:
        raise ToolError("There is no temperature below absolute zero.")
    converted = (base - target.offset) / target.factor
    rounded = parse_exact(f"{convert_to_decimal(converted):.12g}")
    return {
        "value": convert_for_json(amount),
        "from_unit": source.symbol,
        "to_unit": target.symbol,
        "kind": source.kind,
        "result": convert_for_json(rounded),
        "rule": _explain_unit_conversion(amount, source, target),
        "text": f"{show_number(amount)} {source.symbol} = {_format_converted_number(converted)} {target.symbol}",
    }


def _explain_unit_conversion(amount: Fraction, source: Unit, target: Unit) -> str:
    """How one comes to the result: what one unit is of the other, for temperatures the way over kelvin."""
    if source.offset or target.offset:
        kelvin = amount * source.factor + source.offset
        return f"{show_number(amount)} {source.symbol} = {_format_converted_number(kelvin)} K; 0 {target.symbol} = {_format_converted_number(target.offset)} K"
    factor = source.factor / target.factor
    each = _format_converted_number(factor)
    sign = "=" if parse_exact(each) == factor else "≈"
    return f"1 {source.symbol} {sign} {each} {target.symbol}; {show_number(amount)} × {each} {target.symbol}"


def find_unit(name: str) -> Unit:
    """The unit of a name as people write it: case counts only where it must (`Mb`, `MB`)."""
    plain = unicodedata.normalize("NFKC", name.replace("²", "^2").replace("³", "^3")).strip().rstrip(".")
    plain = plain.replace("µ", "μ").replace("℃", "°C").replace("℉", "°F")
    plain = re.sub(r"\s+per\s+", "_per_", re.sub(r"[\s_-]+", " ", plain)).replace(" ", "_")
    if not plain or len(plain) > _LONGEST:
        raise ToolError("A unit needs a name.")
    for form in (
        plain,
        _UNDEGREED.sub("", plain),
        plain.lower(),
        _UNDEGREED.sub("", plain.lower()),
        _singularize_unit_name(plain.lower()),
    ):
        if found := _UNITS.get(form) or _FOLDED.get(form):
            return found
    raise ToolError(f"The unit {name[:_LONGEST]!r} is not known.")


_UNDEGREED = re.compile(r"^(?:°|degrees?_|deg_)(?=.)|(?<=.)_degrees?$", re.IGNORECASE)


def _singularize_unit_name(word: str) -> str:
    word = word.replace("sq_", "square_").replace("s_per_", "_per_")
    if word.endswith("feet"):
        return f"{word[:-4]}foot"
    return word[:-2] if word.endswith("ches") else word[:-1] if word.endswith("s") and len(word) > 2 else word


def _format_converted_number(value: Fraction) -> str:
    """Four decimals, or five significant digits where the number is small."""
    if value.denominator == 1:
        return show_number(value)
    return show_number(
        parse_exact(f"{convert_to_decimal(value):.4f}" if abs(value) >= 1 else f"{convert_to_decimal(value):.5g}")
    )


def _parse_unit_table() -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for kind, lines in _TABLE.items():
        for entry in lines.split("|"):
            symbol, factor, *names = entry.split()
            unit = Unit(symbol.replace("_", " "), kind, Fraction(factor))
            units |= {name.replace("²", "^2").replace("³", "^3"): unit for name in (symbol, *names)}
    for unit, more in [*_TEMPERATURES.values(), *_ANGLES.values()]:
        units |= dict.fromkeys((unit.symbol, *more.split()), unit)
    return units


_UNITS = _parse_unit_table()
_FOLDED = {name.lower(): unit for name, unit in reversed(_UNITS.items())}
