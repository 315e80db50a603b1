"""The documents of a build, in the language of its requirement."""

from collections.abc import Iterable, Mapping, Sequence

from nexus.domain.agents.package import Manifest
from nexus.domain.builds.model import UserCommands
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
from nexus.domain.core.texts import escape_controls, make_single_line

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
    "requirement_head": ("Requirement", "需求"),
    "result": ("Result", "结果"),
    "met": ("met", "已满足"),
    "not_met": ("not met", "未满足"),
    "tests": ("tests", "测试"),
    "shown_by": ("Shown by", "由用例验证"),
    "examples": ("Examples", "示例"),
    "unit_tests": ("Unit tests", "单元测试"),
    "checks": ("Static checks", "静态检查"),
    "none": ("none", "无"),
    "tools_head": ("Tools", "工具"),
    "run": ("Run it alone", "单独运行"),
    "commands": (
        "In this folder; `nexus` is the command that built the agent (in a checkout of nexus: its `.venv/bin/nexus`).",
        "在本目录中运行；`nexus`就是构建此智能体的命令（在nexus的源码目录里是`.venv/bin/nexus`）。",
    ),
    "talk": ("talk to it", "与它对话"),
    "test": ("its unit tests and cases", "运行单元测试和用例"),
    "pytest": ("its unit tests alone", "只运行单元测试"),
    "set_a_model": (
        "No model was found on this machine. Set one, for example `{0.use_hosted_model}` or, with "
        "Ollama, `{0.use_local_model}` (`{0.list_models}` lists what there is); then restart the server and retry the build.",
        "本机没有找到模型。请先设置一个，例如`{0.use_hosted_model}`，或用Ollama："
        "`{0.use_local_model}`（`{0.list_models}`列出可用的模型）；然后重启服务器并重试本次构建。",
    ),
    "use_this_model": (
        "Found on this machine: {found}. Use it with `{use}`, then restart the server and retry the build.",
        "在本机找到：{found}。运行`{use}`即可使用，然后重启服务器并重试本次构建。",
    ),
    "boundary": ("Generated code ran confined by", "生成代码的隔离方式"),
    "model_note": ("Answers come from", "回答由以下模型给出"),
}


def translate_label(key: str, language: Language) -> str:
    return _WORDS[key][language == "zh"]


def format_markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    shown = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_escape_table_cell, row))} |" for row in shown)


def _escape_table_cell(text: str) -> str:
    return make_single_line(text).replace("|", "\\|")


_CATEGORIES = {
    "math": "数学", "finance": "金融", "dates": "日期", "text": "文本", "data": "数据", "web": "网络", "health": "健康",
    "units": "单位", "conversion": "换算", "language": "语言", "integration": "集成", "general": "通用",
    "security": "安全", "logs": "日志", "travel": "出行", "codes": "编码", "everyday": "日常",
}  # fmt: skip


def translate_category(name: str, language: Language) -> str:
    """As people read it: a Chinese document has the Chinese word, where there is one for it."""
    return _CATEGORIES.get(name.casefold(), name) if language == "zh" else name


class Page:
    """A document of Markdown in one language, paragraph by paragraph. Headings and labels are keys of its words."""

    def __init__(self, language: Language, title: str, name: str = "") -> None:
        self.language = language
        said = [translate_label(title, language) if title else "", make_single_line(name)]
        self._paragraphs = [f"# {': '.join(filter(None, said))}"]

    @property
    def markdown_text(self) -> str:
        return "\n\n".join(self._paragraphs) + "\n"

    def add_paragraphs(self, *paragraphs: str) -> None:
        """Those that are not empty."""
        self._paragraphs += filter(None, paragraphs)

    def add_labeled_text(self, key: str, text: str) -> None:
        self.add_paragraphs(f"{translate_label(key, self.language)}: {make_single_line(text)}")

    def add_labeled_list(self, key: str, lines: Iterable[str]) -> None:
        """A list below a label."""
        self.add_paragraphs(f"{translate_label(key, self.language)}:", self.format_bullet_list(lines))

    def add_section(self, key: str, *content: str | Iterable[str]) -> None:
        """A heading, and below it paragraphs of text and lists."""
        shown = [part if isinstance(part, str) else self.format_bullet_list(part) for part in content]
        self.add_paragraphs(f"## {translate_label(key, self.language)}", *shown)

    def format_bullet_list(self, lines: Iterable[str]) -> str:
        return (
            "\n".join(f"- {make_single_line(line)}" for line in lines) or f"- {translate_label('none', self.language)}"
        )


def format_brief_doc(requirement: str, made: Brief) -> str:
    page = Page(made.language, "brief", made.name)
    page.add_labeled_text("summary", made.summary)
    page.add_labeled_text("category", translate_category(made.category, made.language))
    page.add_section("requirement", format_markdown_quote(requirement))
    page.add_section("assumptions", made.assumptions)
    return page.markdown_text


def format_requirements_doc(made: Requirements, say: Language, cases: Mapping[str, Sequence[str]] = {}) -> str:
    """`cases`: by the id of a requirement, those that exercise it, once they are known."""
    page = Page(say, "requirements")
    page.add_section("functional")
    for entry in made.functional:
        _add_requirement(page, entry, cases.get(entry.id, ()))
    page.add_section("nonfunctional")
    for entry in made.nonfunctional:
        _add_requirement(page, entry, ())
    page.add_section("out_of_scope", made.out_of_scope)
    return page.markdown_text


def _add_requirement(page: Page, entry: Requirement, cases: Sequence[str]) -> None:
    page.add_paragraphs(f"### {entry.id} {make_single_line(entry.title)}", make_single_line(entry.statement))
    page.add_labeled_list("acceptance", entry.acceptance)
    if cases:
        page.add_labeled_list("shown_by", cases)


def format_architecture_doc(made: Architecture, say: Language) -> str:
    page = Page(say, "architecture")
    page.add_paragraphs(escape_controls(made.overview))
    page.add_section("agents")
    for agent in made.agents:
        page.add_paragraphs(f"### {make_single_line(agent.name)} (`{agent.slug}`)", make_single_line(agent.purpose))
        if agent.calls:
            page.add_labeled_text("asks", ", ".join(agent.calls))
        page.add_labeled_list("library_tools", (f"`{name}`" for name in agent.library_tools))
        page.add_labeled_list("new_tools", (f"`{tool.name}`: {tool.purpose}" for tool in agent.new_tools))
    page.add_section("interfaces", made.interfaces)
    page.add_section("data", made.data)
    page.add_section("unmet", (f"{entry.requirement_id}: {entry.reason}" for entry in made.unmet))
    return page.markdown_text


def format_design_doc(agent: PlannedAgent, made: Design, say: Language) -> str:
    page = Page(say, "design", agent.name)
    page.add_labeled_text("role", made.role)
    page.add_section("capabilities", made.capabilities)
    page.add_section("limits", made.limits)
    page.add_labeled_text("model", made.model_needs)
    page.add_labeled_text("memory", made.memory)
    page.add_section("cases", map(_format_test_case, made.cases))
    return page.markdown_text


def _format_test_case(case: Case) -> str:
    held = f" ({', '.join(case.requirements)})" if case.requirements else ""
    return f"`{case.name}`{held}: {format_case_input(case)}"


def format_case_input(case: Case) -> str:
    """What a user says in a case, on one line."""
    return make_single_line(case.input)[:200]


def format_markdown_quote(text: str) -> str:
    return "\n".join(f"> {escape_controls(line)}" for line in text.splitlines())


def format_readme(manifest: Manifest, made: Design, unmet: Sequence[str], say: Language, on: UserCommands) -> str:
    """`unmet`: a line for each thing that was asked for and that the agent cannot do."""
    commands = [
        f"{on.run_package:<20} # {translate_label('talk', say)}",
        f"{on.test_package:<20} # {translate_label('test', say)}",
    ]
    if any(entry.ref.startswith("generated:") for entry in manifest.tools):
        commands.append(f"pytest               # {translate_label('pytest', say)}")
    page = Page(say, "", manifest.agent.name)
    page.add_paragraphs(make_single_line(manifest.agent.description))
    page.add_section("examples", map(format_case_input, made.cases[:5]))
    page.add_section("unmet", unmet)
    page.add_section("limits", (limit for limit in made.limits if not any(limit in line for line in unmet)))
    page.add_section("tools_head", (f"`{entry.ref}`" for entry in manifest.tools))
    page.add_section("run", translate_label("commands", say), "\n".join(["```sh", *commands, "```"]))
    return page.markdown_text
