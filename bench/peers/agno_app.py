"""One agent behind Agno's AgentOS, with its SQLite storage."""

import argparse
from pathlib import Path
from typing import Any

import uvicorn
from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.openai.like import OpenAILike
from agno.os import AgentOS


def make_app(model_url: str, data: Path) -> Any:
    data.mkdir(parents=True, exist_ok=True)
    agent = Agent(
        id="bench",
        name="bench",
        model=OpenAILike(id="bench", base_url=model_url, api_key="none", timeout=600),
        db=SqliteDb(db_file=str(data / "agno.db")),
        instructions="You answer questions.",
        telemetry=False,
    )
    return AgentOS(id="bench", agents=[agent], telemetry=False).get_app()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model-url", required=True)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    uvicorn.run(
        make_app(given.model_url, given.data), host="127.0.0.1", port=given.port, log_level="warning", access_log=False
    )
