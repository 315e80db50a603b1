"""The documents of a build, in the language of its requirement."""

from collections.abc import Iterable, Sequence

from nexus.domain.builds.outputs import (
    Architecture,
    Brief,
    Case,
    Design,
    Language,
    PlannedAgent,
    Requirement,
    Requirements,
)

_WORDS: dict[str, tuple[str, str]] = {
    "brief": ("Brief", "需求简报"),
    "requirement": ("Requirement", "原始需求"),
    "summary": ("Summary", "概述"),
    "category": ("Category", "类别"),
    "assumptions": ("Assumptions", "假设"),
    "requirements": ("Requirements", "需求文档"),
    "functional": ("Functional requirements", "功能需求"),
    "nonfunctional": ("Non-functional requirements", "非功能需求"),
    "acceptance": ("Accepted when", "验收标准"),
    "out_of_scope": ("Out of scope", "不在范围内"),
    "architecture": ("Architecture", "系统架构"),
    "agents": ("Agents", "智能体"),
    "library_tools": ("Library tools", "库工具"),
    "new_tools": ("Tools to write", "需要编写的工具"),
    "interfaces": ("Interfaces", "接口"),
    "data": ("Data", "数据"),
    "unmet": ("What this build cannot do", "本次构建无法实现的部分"),
    "design": ("Design", "智能体设计"),
    "role": ("Role", "角色"),
    "capabilities": ("Capabilities", "能力"),
    "limits": ("Limits", "限制"),
    "model": ("Model", "模型要求"),
    "memory": ("Memory", "记忆"),
    "cases": ("Behavioural cases", "行为用例"),
    "asks": ("asks", "可以询问"),
    "report": ("Verification report", "验证报告"),
    "verdict": ("Verdict", "结论"),
    "passed": ("passed", "通过"),
    "partial": ("partial", "部分通过"),
    "failed": ("failed", "未通过"),
    "unit_tests": ("Unit tests", "单元测试"),
    "checks": ("Static checks", "静态检查"),
    "none": ("none", "无"),
    "said": ("said", "输入"),
    "tools": ("Tools", "工具"),
    "run": ("Run it alone", "单独运行"),
    "boundary": ("Generated code ran confined by", "生成代码的隔离方式"),
    "model_note": ("Answers come from", "回答由以下模型给出"),
}


def word(key: str, language: Language) -> str:
    return _WORDS[key][language == "zh"]


def listed(lines: Iterable[str], language: Language) -> str:
    return "\n".join(f"- {line}" for line in lines) or f"- {word('none', language)}"


def brief(requirement: str, made: Brief) -> str:
    say = made.language
    return f"""# {word("brief", say)}: {made.name}

{word("summary", say)}: {made.summary}

{word("category", say)}: {made.category}

## {word("requirement", say)}

{quoted(requirement)}

## {word("assumptions", say)}

{listed(made.assumptions, say)}
"""


def requirements(made: Requirements, say: Language) -> str:
    return f"""# {word("requirements", say)}

## {word("functional", say)}

{_entries(made.functional, say)}
## {word("nonfunctional", say)}

{_entries(made.nonfunctional, say)}
## {word("out_of_scope", say)}

{listed(made.out_of_scope, say)}
"""


def _entries(entries: Sequence[Requirement], say: Language) -> str:
    return "\n".join(
        f"### {entry.id} {entry.title}\n\n{entry.statement}\n\n{word('acceptance', say)}:\n\n{listed(entry.acceptance, say)}\n"
        for entry in entries
    )


def architecture(made: Architecture, say: Language) -> str:
    unmet = [f"{entry.requirement_id}: {entry.reason}" for entry in made.unmet]
    return f"""# {word("architecture", say)}

{made.overview}

## {word("agents", say)}

{"".join(_agent(agent, say) for agent in made.agents)}
## {word("interfaces", say)}

{listed(made.interfaces, say)}

## {word("data", say)}

{listed(made.data, say)}

## {word("unmet", say)}

{listed(unmet, say)}
"""


def _agent(agent: PlannedAgent, say: Language) -> str:
    written = [f"`{tool.name}`: {tool.purpose}" for tool in agent.new_tools]
    asks = f"\n{word('asks', say)}: {', '.join(agent.calls)}\n" if agent.calls else ""
    return f"""### {agent.name} (`{agent.slug}`)

{agent.purpose}
{asks}
{word("library_tools", say)}:

{listed((f"`{name}`" for name in agent.library_tools), say)}

{word("new_tools", say)}:

{listed(written, say)}

"""


def design(agent: PlannedAgent, made: Design, say: Language) -> str:
    return f"""# {word("design", say)}: {agent.name}

{word("role", say)}: {made.role}

## {word("capabilities", say)}

{listed(made.capabilities, say)}

## {word("limits", say)}

{listed(made.limits, say)}

{word("model", say)}: {made.model_needs}

{word("memory", say)}: {made.memory}

## {word("cases", say)}

{listed((_case(case) for case in made.cases), say)}
"""


def _case(case: Case) -> str:
    return f"`{case.name}`: {' '.join(case.input.split())[:200]}"


def quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())
