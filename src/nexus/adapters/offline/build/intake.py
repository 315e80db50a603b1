"""Stage `intake`: is there a task in it, what is it called, and is it one agent or several."""

import re

from nexus.adapters.offline.build.clauses import capabilities
from nexus.adapters.offline.build.naming import agent_name, agent_slug
from nexus.adapters.offline.build.needs import needs_in
from nexus.adapters.offline.language.script import language_of, unquoted
from nexus.adapters.offline.templates.formula import formula_in
from nexus.domain.builds.outputs import Brief, IntakeInput, Language

_STEERING = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:previous|above|prior|all|earlier|your|any|the system)\b.{0,30}\b(?:instructions?|rules?|prompts?|guidelines?|directions?|context)"
    r"|\b(?:print|show|reveal|output|leak|repeat|tell me|give me|display|dump|send)\b.{0,30}\b(?:(?:your|the|system|hidden|initial)\s+(?:system\s+)?(?:prompt|instructions|rules)|api.?keys?|secrets?|credentials|environment variables|your keys?|private keys?)"
    r"|\byou are now\b.{0,40}\b(?:dan|jailbroken|unrestricted|developer mode)|\bjailbreak\b|\bdeveloper mode\b"
    r"|(?:忽略|无视|忘记|忘掉|不要理会|绕过).{0,15}(?:指令|指示|规则|提示词?|设定|要求|限制)|(?:输出|打印|显示|泄露|告诉我|说出|展示|给我).{0,12}(?:系统提示|提示词|密钥|口令|环境变量|系统指令|内部指令)",
    re.IGNORECASE | re.DOTALL,
)
_CHANGE = re.compile(
    r"^\W*(?:please\s+|can you\s+)?(?:change|update|modify|extend|improve|adapt|alter|rename|fix)\b.{0,60}\b(?:agents?|assistants?|bots?)\b|\badd\b.{0,80}\bto (?:the|my|our|this|that|an?) (?:existing )?.{0,30}\b(?:agent|assistant|bot)\b"
    r"|\bexisting\b.{0,20}\b(?:agent|assistant|bot)\b|(?:修改|更新|改进|升级|扩展|调整|完善)(?:一下)?.{0,15}(?:智能体|助手|机器人)|(?:给|为|把|让|在)(?:现有|已有|我的|这个|那个|原来|之前).{0,20}(?:智能体|助手|机器人)",
    re.IGNORECASE | re.DOTALL,
)
_SEVERAL = re.compile(
    r"\b(?:two|three|four|several|multiple|2|3|4)\s+(?:\w+\s+){0,2}agents\b|\bone agent\b.*\b(?:another|one|second)\b|\bmulti.?agent|(?:两|二|三|四|多|几|2|3|4)个(?:\S{0,4})?智能体|多智能体|一个智能体.*另一个",
    re.IGNORECASE | re.DOTALL,
)
_AGENT = re.compile(
    r"\b(?:agents?|assistants?|(?:chat)?bots?|helpers?|apps?|calculators?|converters?|generators?|trackers?|checkers?|planners?)\b|智能体|助手|机器人|代理|工具|应用|计算器|助理",
    re.IGNORECASE,
)
_TASK = re.compile(
    r"\b(?:convert|comput|calculat|translat|writ|summari|extract|analy[sz]|count|find|list|sort|check|creat|generat|plan|track|format|validat|compar|answer|explain|help|search|send|read|pars|filter|classif|detect|monitor|manag|schedul|organi[sz]|recommend|suggest|teach|remind|estimat|predict|measur|record|book|order|draw|solv|evaluat|review|report|collect|process|support|handl|transform|split|merg|look up|fetch|play)\w*"
    r"|换算|计算|翻译|写|总结|概括|提取|分析|统计|查找|查询|列出|排序|检查|创建|生成|规划|跟踪|格式化|验证|比较|回答|解释|帮助|搜索|发送|读取|解析|筛选|分类|检测|监控|管理|推荐|教|提醒|估算|预测|记录|预订|画|解决|评估|处理|转换|合并|安排",
    re.IGNORECASE,
)
_EMPTY = {
    "agent",
    "agents",
    "assistant",
    "assistants",
    "bot",
    "bots",
    "chatbot",
    "build",
    "make",
    "create",
    "want",
    "need",
    "would",
    "like",
    "please",
    "me",
    "us",
    "new",
    "good",
    "nice",
    "great",
    "smart",
    "best",
    "cool",
    "very",
    "an",
    "the",
    "for",
    "some",
    "something",
    "anything",
    "thing",
    "stuff",
    "with",
    "and",
    "that",
    "which",
    "who",
    "does",
    "can",
    "help",
    "helps",
    "hi",
    "hello",
    "hey",
    "there",
    "friend",
    "how",
    "are",
    "you",
    "is",
    "this",
    "your",
}


def intake(given: IntakeInput) -> Brief:
    requirement = given.requirement.strip()
    language, found = language_of(requirement), [one for part in capabilities(requirement) for one in needs_in(part)]
    problem = _problem(requirement, language)
    several = bool(_SEVERAL.search(requirement))
    return Brief(
        intent="unclear" if problem else "change" if _CHANGE.search(requirement) else "new",
        problem=problem,
        name=agent_name(requirement, found, language) or "Agent",
        slug=agent_slug(requirement, found),
        language=language,
        category=found[0].topic.category if found else "general",
        summary=re.sub(r"\s+", " ", requirement)[:300],
        assumptions=_assumptions(language),
        topology="multiple" if several else "single",
    )


def _problem(requirement: str, language: Language) -> str | None:
    """Why there is nothing to build, or None."""
    zh = language == "zh"
    if _STEERING.search(unquoted(requirement)):
        return (
            "这段文字试图操纵构建过程，而不是描述一个智能体。请说明智能体应该做什么。"
            if zh
            else "This tries to steer the builder instead of describing an agent. Say what the agent is to do."
        )
    if not re.search(r"[^\W\d_]", requirement):
        return "There are no words in it. Say in a sentence what the agent is to do."
    if needs_in(requirement) or formula_in(requirement):
        return None
    if (
        _is_gibberish(requirement)
        or not (_AGENT.search(requirement) or _TASK.search(requirement))
        or not _content(requirement)
    ):
        return (
            "看不出要构建什么。请用一句话说明智能体应该做什么，例如“换算单位并计算贷款月供”。"
            if zh
            else "There is no task in it. Say in a sentence what the agent is to do, for example “converts units and computes loan payments”."
        )
    return None


def _is_gibberish(text: str) -> bool:
    """The same word again and again, or hardly a word that could be spoken."""
    words = re.findall(r"[a-z]+", text.lower())
    if re.search(r"[一-鿿]", text):
        return len(set(re.findall(r"[一-鿿]", text))) < 3
    spoken = [word for word in words if re.search(r"[aeiouy]", word)]
    return len(set(words)) <= 1 or len(spoken) * 2 < len(words)


def _content(text: str) -> bool:
    """Whether anything is left without the words that say nothing."""
    if re.search(r"[一-鿿]", text):
        return (
            len(
                re.sub(
                    r"(?:请|帮我|我|想要|需要|要|做|创建|构建|开发|一个|一款|的|能|可以|智能体|助手|机器人|工具|应用|好|很|\W)",
                    "",
                    text,
                )
            )
            >= 2
        )
    return any(word not in _EMPTY for word in re.findall(r"[a-z]{3,}", text.lower()))


def _assumptions(language: Language) -> list[str]:
    if language == "zh":
        return ["智能体用中文回答。", "由离线模型（规则与模板，没有人工智能）构建。"]
    return ["The agent answers in English.", "Built by the offline model: rules and templates, no AI."]
