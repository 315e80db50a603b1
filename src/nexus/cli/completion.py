"""`nexus completion`: what makes a shell complete this command. The shell asks the command itself, so that no list of words can be stale."""

from argparse import ArgumentParser

from nexus.cli.asked import NAME, Asked
from nexus.cli.exits import OK

SHELLS = ("bash", "zsh", "fish")
ASKED_BY_SHELL = "_ARGCOMPLETE"
"""The variable of the environment in which a shell asks for words."""
HOW = """put it where your shell looks. bash: eval "$(%(prog)s bash)" in ~/.bashrc; zsh: eval "$(%(prog)s zsh)" in ~/.zshrc, after
compinit; fish: %(prog)s fish | source, in ~/.config/fish/config.fish"""


def print_script(asked: Asked) -> int:
    from argcomplete.shell_integration import shellcode

    asked.output.stdout.write(shellcode([NAME], shell=asked.arguments.shell))
    return OK


def print_shell_completions(parser: ArgumentParser) -> None:
    """Writes the words that may come next to where the shell reads them, and ends the process."""
    from argcomplete import autocomplete

    autocomplete(parser, always_complete_options=False)
