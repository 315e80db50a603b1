"""`nexus completion`: a shell asks this command which words may come next, so that no list of them can be stale."""

from argparse import REMAINDER, SUPPRESS, Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterator, Sequence

from nexus.cli.asked import Asked
from nexus.cli.exits import OK
from nexus.cli.parsing import Topics, verb

WORDS = "complete-words"
"""A command that only the scripts call: the words so far, the one under the cursor last."""

SCRIPTS = {
    "bash": f"""_nexus() {{
    local IFS=$'\\n'
    COMPREPLY=($("${{COMP_WORDS[0]}}" {WORDS} -- "${{COMP_WORDS[@]:1:COMP_CWORD}}" 2>/dev/null | cut -f 1))
}}
complete -o default -F _nexus nexus
""",
    "zsh": f"""#compdef nexus
_nexus() {{
    local -a found
    local line
    for line in "${{(@f)$("${{(Q)words[1]}}" {WORDS} -- "${{(@Q)words[2,CURRENT]}}" 2>/dev/null)}}"; do
        [[ -n "$line" ]] && found+=("${{line/$'\t'/:}}")
    done
    if (( $#found )); then _describe nexus found; else _files; fi
}}
compdef _nexus nexus
""",
    "fish": f"""complete -c nexus -a '(set -l words (commandline -opc); "$words[1]" {WORDS} -- $words[2..-1] (commandline -ct) 2>/dev/null)'
""",
}
HOW = """put it where your shell looks. bash: eval "$(%(prog)s bash)" in ~/.bashrc; zsh: eval "$(%(prog)s zsh)" in ~/.zshrc, after
compinit; fish: %(prog)s fish | source, in ~/.config/fish/config.fish"""


def add(topics: Topics) -> None:
    parser = verb(topics, "completion", "print what makes a shell complete this command", local=print_script)
    parser.description = f"{parser.description}; {HOW}"
    parser.add_argument("shell", choices=tuple(SCRIPTS), help="the shell")
    words = topics.add_parser(WORDS)
    words.add_argument("words", nargs=REMAINDER)
    words.set_defaults(run=print_words)


def print_script(asked: Asked) -> int:
    asked.output.out.write(SCRIPTS[asked.arguments.shell])
    return OK


def print_words(asked: Asked) -> int:
    """A candidate a line, with what it is behind a tab."""
    from nexus.cli import parser

    words = asked.arguments.words
    for word, about in candidates(parser(), words[1:] if words[:1] == ["--"] else words):
        asked.output.line(f"{word}\t{about}" if about else word)
    return OK


def candidates(parser: ArgumentParser, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What may stand in the place of the last word, and what it means; nothing where any text or file may."""
    *before, current = words or [""]
    option: Action | None = None
    for word in before:
        takes_value = option is None and word.startswith("-")
        option = next((one for one in _options(parser) if takes_value and word in one.option_strings), None)
        option = option if option is not None and option.nargs != 0 else None
        if not takes_value and word in (inner := _inner(parser)):
            parser = inner[word][0]
    for word, about in _possible(parser, option, current):
        if word.startswith(current):
            yield word, about


def _possible(parser: ArgumentParser, option: Action | None, current: str) -> Iterator[tuple[str, str]]:
    if option is not None:
        yield from ((str(choice), "") for choice in option.choices or ())
    elif current.startswith("-"):
        yield from (
            (name, one.help or "") for one in _options(parser) for name in one.option_strings if name[:2] == "--"
        )
    elif inner := _inner(parser):
        yield from ((name, about) for name, (_, about) in inner.items() if about)
    else:
        places = (one for one in parser._actions if not one.option_strings)
        yield from ((str(choice), "") for one in places for choice in one.choices or ())


def _options(parser: ArgumentParser) -> list[Action]:
    return [one for one in parser._actions if one.option_strings and one.help != SUPPRESS]


def _inner(parser: ArgumentParser) -> dict[str, tuple[ArgumentParser, str]]:
    """The commands or verbs of a parser, and what they do."""
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            about = {one.dest: one.help or "" for one in action._choices_actions}
            return {name: (inner, about.get(name, "")) for name, inner in action.choices.items()}
    return {}
