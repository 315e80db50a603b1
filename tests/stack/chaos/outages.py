"""E5 to E8: Redis is lost, messages come many times, answers of the tables are lost, and the tables refuse and are late."""

import asyncio
import time
from collections import Counter
from typing import Any

from nexus.adapters.sqs.jobs import SqsJobs
from nexus.adapters.sqs.queues import make_queue_set, open_client
from nexus.domain.builds.model import RunBuild
from tests.chaos.experiments import Figures, percentile
from tests.chaos.harness import must
from tests.chaos.model import Script
from tests.stack.chaos.chats import begin_chats, build_agent, follow_chats
from tests.stack.chaos.world import CREDENTIALS, World, make_random, open_world

JSON = dict[str, Any]
BUILDS, CHATS = 20, 50
DOWN_SECONDS, BAD_SECONDS = 20.0, 60.0
ANSWER_SECONDS, SLOWER = 0.5, 2.0
"""What a GET may take at most where Redis is away, or so many times what it takes under the same load with Redis."""
REPEATS = 10
LOST_EVERY = 5
MOST_ANSWER_SECONDS, MOST_CALLS = 6.0, 3.0


async def lose_redis(seed: int, runs: int) -> Figures:
    """E5: Redis is flushed, then killed without anything kept, and away for 20 s."""
    async with open_world(Script(latency=0.2)) as world:
        agent_id = await build_agent(world)
        acknowledged = await world.begin_builds(BUILDS, first=10)
        await world.model.say(Script(latency=0.2, delay=0.5, pieces=40))
        chats = await begin_chats(world, agent_id, CHATS)
        following = asyncio.ensure_future(follow_chats(world, chats))
        with_redis = percentile(await time_answers(world, acknowledged[0]["project_id"], for_seconds=5), 0.99)
        world.stack.flush_redis()
        await asyncio.sleep(3)
        world.stack.kill("redis")
        seconds = await time_answers(world, acknowledged[0]["project_id"], for_seconds=DOWN_SECONDS)
        world.stack.start_redis()
        await world.end_builds(acknowledged, within=240)
        lost = await following
        must(not lost, f"{len(lost)} chats were not heard whole: {lost[:2]}")
        slow = percentile(seconds, 0.99)
        most = max(ANSWER_SECONDS, SLOWER * with_redis)
        must(slow <= most, f"Without Redis a GET took {slow:.2f} s (p99), with it {with_redis:.2f} s.")
        evidence = await world.examine(acknowledged)
        return {
            "builds": BUILDS, "chats": CHATS, "lost": 0, "GET p99 with Redis": f"{with_redis * 1000:.0f} ms",
            "without": f"{slow * 1000:.0f} ms",
            "inspected": evidence.inspected,
        }  # fmt: skip


async def time_answers(world: World, project_id: str, *, for_seconds: float) -> list[float]:
    seconds, until = list[float](), time.monotonic() + for_seconds
    while time.monotonic() < until:
        began = time.monotonic()
        status, _ = await world.api.call("GET", f"/projects/{project_id}")
        must(status == 200, f"GET was answered {status}.")
        seconds.append(time.monotonic() - began)
        await asyncio.sleep(0.1)
    return seconds


async def repeat_messages(seed: int, runs: int) -> Figures:
    """E6: the message of each build comes ten times more, in any order, now and later."""
    random, queues = make_random(seed, "e06"), make_queue_set()
    async with (
        open_world(Script(latency=0.1)) as world,
        open_client(region="us-west-2", endpoint_url=world.stack.url_of("queues"), **CREDENTIALS) as client,
    ):
        jobs = SqsJobs(client, queue=queues.build)

        async def send_late(task_id: str) -> None:
            await asyncio.sleep(random.uniform(0, 15))
            await jobs.enqueue_job(RunBuild(task_id=task_id), key=task_id, group="local")

        acknowledged = await world.begin_builds(BUILDS)
        await asyncio.gather(*(send_late(one["task_id"]) for one in acknowledged * REPEATS))
        await world.end_builds(acknowledged, within=240)
        await _wait_empty(client, queues.build.name)
        evidence = await world.examine(acknowledged)
        claims = Counter(task["fence"] for task in evidence.rows["tasks"])
        must(set(claims) == {1}, f"Tasks were claimed so often: {claims}")
        dead = await _count_messages(client, queues.build.dead_letters)
        must(dead == 0, f"{dead} messages are dead letters.")
        return {"builds": BUILDS, "messages": BUILDS * (REPEATS + 1), "claims each": 1, "inspected": evidence.inspected}


async def _wait_empty(client: Any, name: str) -> None:
    until = time.monotonic() + 60
    while count := await _count_messages(client, name):
        must(time.monotonic() < until, f"{count} messages stay in {name}.")
        await asyncio.sleep(0.5)


async def _count_messages(client: Any, name: str) -> int:
    url = (await client.get_queue_url(QueueName=name))["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = (await client.get_queue_attributes(QueueUrl=url, AttributeNames=names))["Attributes"]
    return sum(int(found[name]) for name in names)


async def lose_answers(seed: int, runs: int) -> Figures:
    """E7: of every fifth write to the tables the answer is lost after it was done."""
    async with open_world(Script(latency=0.1)) as world:
        world.line.lose(LOST_EVERY)
        acknowledged = await world.begin_builds(BUILDS)
        await world.end_builds(acknowledged, within=300)
        world.line.lose(0)
        evidence = await world.examine(acknowledged)
        claims = Counter(task["fence"] for task in evidence.rows["tasks"])
        must(set(claims) == {1}, f"A lease was given up without need: {claims}")
        return {"writes": world.line.writes, "lost answers": world.line.lost, "inspected": evidence.inspected}


async def throttle_tables(seed: int, runs: int) -> Figures:
    """E8: for a minute half of what the tables are asked is refused, and some of it is late."""
    async with open_world(Script(latency=0.1)) as world:
        before = world.line.requests
        await world.end_builds(await world.begin_builds(runs), within=240)
        undisturbed, before = world.line.requests - before, world.line.requests
        world.line.disturb(refused=0.5, late=0.02)
        acknowledged, statuses = list[JSON](), Counter[int]()
        until = time.monotonic() + BAD_SECONDS
        for number in range(1000, 1000 + runs):
            acknowledged.append(await world.api.begin(number))
        while time.monotonic() < until:
            statuses[await _ask_within(world, acknowledged[0]["project_id"])] += 1
            await asyncio.sleep(0.2)
        disturbed = world.line.requests - before
        world.line.disturb(refused=0, late=0)
        await world.end_builds(acknowledged, within=240)
        must(disturbed <= MOST_CALLS * undisturbed, f"{disturbed} calls in place of {undisturbed}.")
        evidence = await world.examine(acknowledged, accounts=False)
        return {
            "refused": world.line.refused, "calls": f"{disturbed}, undisturbed {undisturbed}", "answers": dict(statuses),
            "inspected": evidence.inspected,
        }  # fmt: skip


async def _ask_within(world: World, project_id: str) -> int:
    """The status of an answer, which comes in time and says when to ask again where it is a refusal."""
    began = time.monotonic()
    async with world.api.http.get(f"{world.api.url}/api/v2/projects/{project_id}") as answer:
        await answer.read()
        seconds = time.monotonic() - began
        must(seconds <= MOST_ANSWER_SECONDS, f"An answer took {seconds:.1f} s.")
        must(answer.status in (200, 503), f"GET was answered {answer.status}.")
        must(answer.status == 200 or "Retry-After" in answer.headers, "A 503 does not say when to ask again.")
        return answer.status
