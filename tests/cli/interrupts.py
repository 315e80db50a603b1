"""Ctrl-C, pressed by a fake server while the command waits for it."""

import signal
import threading


def press() -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)
