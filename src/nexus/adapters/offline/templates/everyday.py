"""Templates for everyday forms: durations, temperatures, speed, documents in JSON, CSV and Markdown."""

from nexus.adapters.offline.skills.skill import Example, Topic
from nexus.adapters.offline.templates.template import Check, Template


def format_duration(seconds: int) -> str:
    """Writes a number of seconds as days, hours, minutes and seconds.

    Args:
        seconds: The seconds, not negative.

    Returns:
        For example "1 h 1 min 1 s".
    """
    if seconds < 0:
        raise ValueError("A duration is not negative.")
    parts, rest = [], seconds
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"


def convert_temperature(degrees: float, from_scale: str, to_scale: str) -> float:
    """Converts a temperature between Celsius, Fahrenheit and Kelvin.

    Args:
        degrees: The temperature.
        from_scale: "celsius", "fahrenheit" or "kelvin".
        to_scale: The scale wanted.

    Returns:
        The temperature, rounded to two decimals.
    """
    scales = ("celsius", "fahrenheit", "kelvin")
    if from_scale not in scales or to_scale not in scales:
        raise ValueError("Scales are celsius, fahrenheit and kelvin.")
    celsius = {"celsius": degrees, "fahrenheit": (degrees - 32) / 1.8, "kelvin": degrees - 273.15}[from_scale]
    if celsius < -273.15 - 1e-9:
        raise ValueError("That is below absolute zero.")
    return round({"celsius": celsius, "fahrenheit": celsius * 1.8 + 32, "kelvin": celsius + 273.15}[to_scale], 2)


def average_speed(distance_km: float, hours: float) -> float:
    """Computes the average speed of a trip.

    Args:
        distance_km: The distance in kilometres.
        hours: The time in hours.

    Returns:
        Kilometres per hour, rounded to two decimals.
    """
    if distance_km < 0 or hours <= 0:
        raise ValueError("The time must be positive and the distance not negative.")
    return round(distance_km / hours, 2)


def markdown_contents(markdown: str) -> str:
    """Makes a table of contents from the headings of a Markdown text.

    Args:
        markdown: The Markdown text.

    Returns:
        A nested list of links.
    """
    entries, fenced = [], False
    for line in markdown.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        level = len(line) - len(line.lstrip("#"))
        if fenced or not 1 <= level <= 6 or line[level : level + 1] != " ":
            continue
        title = line[level:].strip()
        anchor = "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")
        entries.append(f"{'  ' * (level - 1)}- [{title}](#{anchor})")
    if not entries:
        raise ValueError("The text has no headings.")
    return "\n".join(entries)


def csv_to_json(csv_text: str) -> list[dict[str, str]]:
    """Turns CSV text with a header line into JSON records.

    Args:
        csv_text: The CSV text.

    Returns:
        One record per line.
    """
    import csv

    rows = list(csv.reader(csv_text.strip().splitlines()))
    if len(rows) < 2:
        raise ValueError("A header line and at least one line are needed.")
    header = [name.strip() for name in rows[0]]
    return [dict(zip(header, (value.strip() for value in row), strict=False)) for row in rows[1:] if row]


def json_to_csv(json_text: str) -> str:
    """Turns a JSON list of records into CSV text with a header line.

    Args:
        json_text: The JSON text.

    Returns:
        The CSV text.
    """
    import csv
    import io
    import json

    records = json.loads(json_text)
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise ValueError("A JSON list of objects is needed.")
    columns = list(dict.fromkeys(name for record in records for name in record))
    out = io.StringIO()
    table = csv.DictWriter(out, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    return out.getvalue()


_SCALES = {
    "celsius": r"celsius|°?\s?c\b|摄氏",
    "fahrenheit": r"fahrenheit|°?\s?f\b|华氏",
    "kelvin": r"kelvin|\bk\b|开尔文",
}

TEMPLATES = (
    Template(
        function=format_duration,
        topic=Topic(
            en="Duration format",
            zh="时长格式化",
            category="dates",
            words=r"\bformat\w*\b.*\b(?:durations?|seconds)|\b(?:durations?|seconds) (?:in|to|into|as) (?:hours|human|readable|minutes|days)|\bhuman.readable (?:time|duration)|时长格式|秒数?(?:转换?|换算)",
        ),
        asks=r"\bseconds?\b|\bduration|秒",
        checks=(
            Check({"seconds": 3661}, "1 h 1 min 1 s"),
            Check({"seconds": 0}, "0 s"),
            Check({"seconds": 90_000}, "1 d 1 h"),
        ),
        refuses=({"seconds": -1},),
        tell={"en": "{seconds} seconds are **{result}**.", "zh": "{seconds}秒是**{result}**。"},
        examples={
            "en": (Example("Format 3661 seconds as hours and minutes", ("1 h 1 min 1 s",)),),
            "zh": (Example("3661秒是几小时几分？", ("1 h 1 min 1 s",)),),
        },
    ),
    Template(
        function=convert_temperature,
        topic=Topic(
            en="Temperature converter",
            zh="温度换算",
            category="conversion",
            words=r"\btemperatures?\b|\bcelsius|\bfahrenheit|温度|摄氏|华氏",
        ),
        asks=r"\bcelsius|\bfahrenheit|\bkelvin|°\s?[CF]|\d\s?[CF]\b|摄氏|华氏",
        cues={
            "degrees": (
                r"({n})\s*(?:°|degrees?|度)?\s*(?:[cfk]\b|celsius|fahrenheit|kelvin|摄氏|华氏|度)",
                r"(?:摄氏|华氏)\s*({n})",
            ),
            "from_scale": {
                scale: rf"\d\s*(?:degrees?|度)?\s*(?:{words})|(?:{words})度?\s*-?\d" for scale, words in _SCALES.items()
            },
            "to_scale": {
                scale: rf"(?:to|in|into)\s+(?:degrees? )?(?:{words})|(?:等于多少|是多少|成|为|到)\s*(?:{words})"
                for scale, words in _SCALES.items()
            },
        },
        checks=(
            Check({"degrees": 100.0, "from_scale": "celsius", "to_scale": "fahrenheit"}, 212.0),
            Check({"degrees": 32.0, "from_scale": "fahrenheit", "to_scale": "celsius"}, 0.0),
            Check({"degrees": 0.0, "from_scale": "celsius", "to_scale": "kelvin"}, 273.15),
        ),
        refuses=(
            {"degrees": -300.0, "from_scale": "celsius", "to_scale": "kelvin"},
            {"degrees": 1.0, "from_scale": "celsius", "to_scale": "x"},
        ),
        tell={
            "en": "{degrees}° {from_scale} = **{result}**° {to_scale}.",
            "zh": "{degrees}度（{from_scale}）= **{result}**度（{to_scale}）。",
        },
        examples={
            "en": (Example("Convert 100 celsius to fahrenheit", ("212",)),),
            "zh": (Example("摄氏100度是多少华氏度？", ("212",)),),
        },
    ),
    Template(
        function=average_speed,
        topic=Topic(
            en="Speed calculator",
            zh="速度计算",
            category="travel",
            words=r"\b(?:average )?speeds?\b|\bkm/h|平均速度|时速|配速",
        ),
        asks=r"\bspeed|\bhow fast|速度|时速|多快",
        checks=(Check({"distance_km": 150.0, "hours": 2.0}, 75.0),),
        refuses=({"distance_km": 10.0, "hours": 0.0},),
        tell={
            "en": "{distance_km} km ÷ {hours} h = **{result}** km/h.",
            "zh": "{distance_km}公里 ÷ {hours}小时 = **{result}**公里/小时。",
        },
        examples={
            "en": (Example("What is the average speed for 150 km in 2 hours?", ("75",)),),
            "zh": (Example("2小时走150公里，平均速度是多少？", ("75",)),),
        },
    ),
    Template(
        function=markdown_contents,
        topic=Topic(
            en="Markdown contents",
            zh="Markdown目录",
            category="documents",
            words=r"\btable of contents|\btoc\b|\bmarkdown\b.*\b(?:contents|outline|headings)|Markdown.*目录|目录.*Markdown",
        ),
        asks=r"table of contents|\btoc\b|\bcontents\b|目录",
        cues={"markdown": (r"^(#{1,6} .*)", r"(?:\n|[:：]\s*)(#{1,6} .*)")},
        checks=(Check({"markdown": "# One\ntext\n## Two words\n"}, "- [One](#one)\n  - [Two words](#two-words)"),),
        refuses=({"markdown": "no headings"},),
        tell={"en": "Table of contents:\n\n{result}", "zh": "目录：\n\n{result}"},
        examples={
            "en": (Example("Make a table of contents:\n# One\ntext\n## Two", ("[Two](#two)",)),),
            "zh": (Example("生成目录：\n# One\n文字\n## Two", ("[Two](#two)",)),),
        },
    ),
    Template(
        function=csv_to_json,
        topic=Topic(
            en="CSV to JSON",
            zh="CSV转JSON",
            category="documents",
            words=r"\bcsv\b.{0,30}\b(?:to|into|as) json|\b(?:csv|json) (?:and|&|<->) (?:csv|json)\b.*\bconver|CSV.{0,8}(?:转换?|变)[为成]?\s?JSON",
        ),
        weight=40,
        asks=r"\b(?:to|into|as|in) json\b|(?:转换?|变)[为成]?\s?json",
        cues={"csv_text": (r"(?:\n|[:：]\s*)([^\n:：]*,[^\n]*\n.+)$",)},
        checks=(Check({"csv_text": "name,age\nAda,36\n"}, [{"name": "Ada", "age": "36"}]),),
        refuses=({"csv_text": ""},),
        tell={"en": "As JSON:\n\n```json\n{result}\n```", "zh": "JSON：\n\n```json\n{result}\n```"},
        examples={
            "en": (Example("Turn this CSV into JSON:\nname,age\nAda,36", ("Ada", "36")),),
            "zh": (Example("把这个CSV转成JSON：\nname,age\nAda,36", ("Ada", "36")),),
        },
    ),
    Template(
        function=json_to_csv,
        topic=Topic(
            en="JSON to CSV",
            zh="JSON转CSV",
            category="documents",
            words=r"\bjson\b.{0,30}\b(?:to|into|as) csv|JSON.{0,8}(?:转换?|变)[为成]?\s?CSV",
        ),
        weight=40,
        asks=r"\b(?:to|into|as|in) csv\b|(?:转换?|变)[为成]?\s?csv",
        cues={"json_text": (r"^[^\[]*(\[.*\])",)},
        checks=(Check({"json_text": '[{"name": "Ada", "age": 36}]'}, "name,age\nAda,36\n"),),
        refuses=({"json_text": "{}"},),
        tell={"en": "As CSV:\n\n```\n{result}\n```", "zh": "CSV：\n\n```\n{result}\n```"},
        examples={
            "en": (Example('Turn this JSON into CSV: [{"name": "Ada", "age": 36}]', ("Ada,36",)),),
            "zh": (Example('把这个JSON转成CSV：[{"name": "Ada", "age": 36}]', ("Ada,36",)),),
        },
    ),
)
