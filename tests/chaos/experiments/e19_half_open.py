"""E19: readers whose packets are lost without a word."""

import shutil

from tests.chaos.experiments import Figures, Skipped


async def run(seed: int, runs: int) -> Figures:
    if shutil.which("iptables") is None:
        raise Skipped("there is no iptables to lose packets with")
    raise Skipped("iptables is there, but packets on loopback are not to be lost on a machine that others share")
