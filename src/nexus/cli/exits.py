"""What the exit codes of the command mean."""

from collections.abc import Sequence

OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
REFUSED = 4
PARTIAL = 5
"""Some of what was asked for is there, and some is not."""
INTERRUPTED = 130
PIPE_CLOSED = 141


class Ended(Exception):
    """The command can go no further; the sentence says why, to people, and `then` are the words of a command that helps."""

    def __init__(self, code: int, sentence: str, then: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.code, self.sentence, self.then = code, sentence, then
