"""What the exit codes of the command mean."""

OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
REFUSED = 4
INTERRUPTED = 130
PIPE_CLOSED = 141


class Ended(Exception):
    """The command can go no further; the sentence says why, to people."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence
