"""The offline model's own sentences, in each language."""

from collections.abc import Mapping

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
    example: str
    failed: str
    answered: str
    key: str


EN = Phrases(
    hello="Hello! I am the offline model: rules and templates, no AI.",
    thanks="You are welcome.",
    who="I am the offline model, the built-in stand-in of nexus: rules and templates, no AI.",
    abilities="This agent can:",
    nothing="This agent has no tools that I could use without AI.",
    lost="I did not understand that. I am the offline model: rules and templates, no AI, so I only use the tools of this agent.",
    lacking="For {title} I still need: {missing}. (I am the offline model and ask instead of guessing.)",
    example="try: “{example}”",
    failed="The tool {tool} could not do that: {reason}",
    answered="{tool} answered:",
    key="With a model key (NEXUS_MODEL__API_KEY) the agent answers freely.",
)
ZH = Phrases(
    hello="你好！我是离线模型（offline）：只有规则和模板，没有人工智能。",
    thanks="不客气。",
    who="我是离线模型（offline），nexus自带的替身：只有规则和模板，没有人工智能。",
    abilities="这个智能体可以：",
    nothing="这个智能体没有我不用人工智能就能使用的工具。",
    lost="我没有看懂这句话。我是离线模型（offline）：只有规则和模板，没有人工智能，只会使用这个智能体的工具。",
    lacking="关于{title}，我还需要：{missing}。（我是离线模型，不会猜测。）",
    example="例如：“{example}”",
    failed="工具{tool}没能完成：{reason}",
    answered="{tool}的回答：",
    key="设置模型密钥（NEXUS_MODEL__API_KEY）之后，智能体就能自由回答。",
)
PHRASES: Mapping[Language, Phrases] = {"en": EN, "zh": ZH}

PARAMETERS_ZH: Mapping[str, str] = {
    "principal": "本金", "annual_rate_percent": "年利率（%）", "years": "年数", "value": "数值", "from_unit": "原单位", "to_unit": "目标单位",
    "text": "文本", "start": "开始日期", "end": "结束日期", "day": "日期", "items": "明细", "csv_text": "CSV表格", "json_text": "JSON文档", "url": "网址",
    "pattern": "正则表达式", "weight_kg": "体重（公斤）", "height_cm": "身高（厘米）", "number": "数字", "numbers": "数字", "rows": "表格", "password": "密码",
    "to_zone": "目标时区", "expression": "算式",
}  # fmt: skip
"""What a Chinese answer calls the parameters that it asks for."""


def parameter_name(name: str, language: Language) -> str:
    return PARAMETERS_ZH.get(name, name) if language == "zh" else name.replace("_", " ")
