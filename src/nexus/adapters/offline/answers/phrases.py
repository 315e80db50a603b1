"""The offline model's own sentences, in each language."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from nexus.domain.builds.outputs import Language


class Phrases(Struct, frozen=True, kw_only=True):
    hello: str
    thanks: str
    who: str
    abilities: str
    nothing: str
    lost: str
    lacking: str
    doubt: str
    rivals: str
    example: str
    failed: str
    answered: str
    taken: str
    key: str


EN = Phrases(
    hello="Hello! I am the offline model: rules and templates, no AI.",
    thanks="You are welcome.",
    who="I am the offline model, the built-in stand-in of nexus: rules and templates, no AI.",
    abilities="This agent can:",
    nothing="This agent has no tools that I could use without AI.",
    lost="I did not understand “{part}”. I am the offline model: rules and templates, no AI, and I never guess.",
    lacking="For {title} I still need: {missing}. (I am the offline model and ask instead of guessing.)",
    doubt="{name} can be read in two ways: “{first}” or “{second}”. Which one do you mean? (I am the offline model and do not guess.)",
    rivals="That can be read in several ways: {titles}. Please say which one you mean. (I am the offline model and do not guess.)",
    example="I can answer, for example: “{example}”",
    failed="The tool {tool} could not do that: {reason}",
    answered="{tool} answered:",
    taken="(Taken from before: {taken}.)",
    key="With a language model (`nexus models`, or NEXUS_MODEL__API_KEY) the agent answers freely.",
)
ZH = Phrases(
    hello="你好！我是离线模型（offline）：只有规则和模板，没有人工智能。",
    thanks="不客气。",
    who="我是离线模型（offline），nexus自带的替身：只有规则和模板，没有人工智能。",
    abilities="这个智能体可以：",
    nothing="这个智能体没有我不用人工智能就能使用的工具。",
    lost="我没有看懂“{part}”。我是离线模型（offline）：只有规则和模板，没有人工智能，也不会猜测。",
    lacking="关于{title}，我还需要：{missing}。（我是离线模型offline，不会猜测。）",
    doubt="{name}有两种读法：“{first}”或“{second}”。请问是哪一种？（我是离线模型offline，不会猜测。）",
    rivals="这句话有几种理解：{titles}。请说明是哪一种。（我是离线模型offline，不会猜测。）",
    example="我可以回答，例如：“{example}”",
    failed="工具{tool}没能完成：{reason}",
    answered="{tool}的回答：",
    taken="（沿用上文：{taken}。）",
    key="设置语言模型（`nexus models`或NEXUS_MODEL__API_KEY）之后，智能体就能自由回答。",
)
PHRASES: Mapping[Language, Phrases] = {"en": EN, "zh": ZH}

_NAMES_ZH: Mapping[str, str] = {
    "principal": "本金", "annual_rate_percent": "年利率（%）", "years": "年数", "value": "数值", "from_unit": "原单位", "to_unit": "目标单位",
    "text": "文本（放在冒号后面）", "start": "开始日期", "end": "结束日期", "day": "日期", "items": "明细", "csv_text": "CSV表格", "url": "网址",
    "json_text": "JSON文档", "pattern": "正则表达式", "weight_kg": "体重", "height_cm": "身高", "number": "数字", "numbers": "数字",
    "compounds_per_year": "多久计一次复利（按年、按月…）", "rows": "表格", "password": "密码", "from_zone": "原时区", "to_zone": "目标时区", "targets": "目标时区", "birth_date": "出生日期",
    "price": "价格", "discount_percent": "折扣", "total": "账单金额", "people": "人数", "tip_percent": "小费比例", "clock": "时间",
    "distance_km": "距离", "litres_per_100_km": "百公里油耗", "before": "原来的值", "after": "后来的值", "cost": "成本", "revenue": "收入",
}  # fmt: skip
_NAMES_EN: Mapping[str, str] = {
    "text": "the text (behind a colon)", "csv_text": "the table as CSV", "items": "the items", "targets": "the zone to convert to",
    "to_unit": "the unit to convert to", "from_unit": "the unit of the value", "weight_kg": "the weight", "height_cm": "the height",
    "annual_rate_percent": "annual rate (percent)", "json_text": "the JSON document", "clock": "the time", "total": "the amount of the bill",
    "compounds_per_year": "how often interest is compounded (annually, monthly …)", "litres_per_100_km": "the consumption in l/100km", "distance_km": "the distance", "rows": "the table as CSV",
}  # fmt: skip


def parameter_name(name: str, language: Language) -> str:
    """What an answer calls a slot."""
    name = name.split("+")[0]
    names = _NAMES_ZH if language == "zh" else _NAMES_EN
    return names.get(name, name.replace("_", " "))


def joined(parts: Sequence[str], language: Language) -> str:
    """`a, b and c`, `a、b和c`."""
    between, last = ("、", "和") if language == "zh" else (", ", " and ")
    return between.join(parts[:-1]) + last + parts[-1] if len(parts) > 1 else "".join(parts)
