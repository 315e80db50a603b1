"""A relay as it is usually written with FastAPI: an HTTP client's lines, decoded, sent on as events. No storage."""

import argparse
import json
from collections.abc import AsyncIterator

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class Asked(BaseModel):
    content: str


class Project(BaseModel):
    project_id: str
    requirement: str
    status: str


def make_app(model_url: str) -> FastAPI:
    app = FastAPI()
    client = httpx.AsyncClient(base_url=model_url, timeout=600, limits=httpx.Limits(max_connections=None))
    project = Project(
        project_id="prj_" + "0" * 26, requirement="An agent that converts units. " * 8, status="completed"
    )

    async def relayed(content: str) -> AsyncIterator[str]:
        asked = {"model": "bench", "stream": True, "messages": [{"role": "user", "content": content}]}
        async with client.stream("POST", "/chat/completions", json=asked) as answer:
            at = 0
            async for line in answer.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                for choice in json.loads(line[6:])["choices"]:
                    if text := choice["delta"].get("content"):
                        at += 1
                        event = json.dumps({"type": "text.delta", "text": text})
                        yield f"id: {at}\nevent: text.delta\ndata: {event}\n\n"
        yield "event: done\ndata: {}\n\n"

    @app.post("/stream")
    async def stream(asked: Asked) -> StreamingResponse:
        return StreamingResponse(relayed(asked.content), media_type="text/event-stream")

    @app.get("/item")
    async def item() -> Project:
        return project

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model-url", required=True)
    given = parser.parse_args()
    uvicorn.run(make_app(given.model_url), host="127.0.0.1", port=given.port, log_level="warning", access_log=False)
