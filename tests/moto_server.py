"""AWS on loopback, in a process of its own: prints its port, ends when its standard input does; with `--port N` on a signal.

One lock around everything: conditional writes and transactions of moto are not atomic between threads.
"""

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


def serve() -> None:
    app, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def one_at_a_time(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with lock:
            return list(app(environ, start_response))

    port = int(sys.argv[2]) if sys.argv[1:2] == ["--port"] else 0
    server = make_server("127.0.0.1", port, one_at_a_time, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    if port:
        threading.Event().wait()
    sys.stdin.read()


if __name__ == "__main__":
    serve()
