"""Things as a server shows them."""

from typing import Any

NOW = "2026-03-04T05:06:07.000Z"
STAGES = (
    "intake",
    "requirements",
    "architecture",
    "design",
    "tools",
    "prompt",
    "assembly",
    "verification",
    "deployment",
)
JSON = dict[str, Any]


def agent(agent_id: str = "agt_1", **fields: object) -> JSON:
    return {
        "agent_id": agent_id,
        "project_id": "prj_1",
        "user_id": "usr_local",
        "visibility": "tenant",
        "agent_name": "Unit converter",
        "slug": "unit_converter",
        "description": "Converts units",
        "category": "conversion",
        "language": "en",
        "version": "1",
        "versions": 1,
        "active_version": 1,
        "verdict": "passed",
        "status": "running",
        "deployment_type": "local",
        "capabilities": [],
        "tools": ["library:convert_units"],
        "prompt_path": None,
        "code_path": None,
        "created_at": NOW,
        "updated_at": NOW,
        "deployed_at": NOW,
    } | fields


def project(project_id: str = "prj_1", **fields: object) -> JSON:
    return {
        "project_id": project_id,
        "project_name": "Unit converter",
        "kind": "agent",
        "status": "completed",
        "control_status": "running",
        "requirement": "Convert units",
        "user_id": "usr_local",
        "user_name": "",
        "priority": 3,
        "tags": [],
        "accept_partial": False,
        "progress": 100.0,
        "current_stage": "deployment",
        "active_task_id": "tsk_1",
        "build_no": 1,
        "agent_ids": ["agt_1"],
        "error_info": None,
        "verdict": "passed",
        "metrics": {"tests_run": 3, "tests_passed": 3, "verdict": "passed"},
        "created_at": NOW,
        "updated_at": NOW,
        "started_at": NOW,
        "completed_at": NOW,
    } | fields


def version(number: int = 1, **fields: object) -> JSON:
    return {
        "agent_id": "agt_1",
        "version": number,
        "project_id": "prj_1",
        "build_no": number,
        "commit_id": "0" * 40,
        "verdict": "passed",
        "tests_run": 3,
        "tests_passed": 3,
        "summary": "",
        "unmet": [],
        "created_at": NOW,
    } | fields


def deployment(number: int = 1, **fields: object) -> JSON:
    return {
        "agent_id": "agt_1",
        "deployment_id": "dep_1",
        "user_id": "usr_local",
        "version": number,
        "verdict": "passed",
        "deployment_type": "local",
        "smoke_test": "",
        "created_at": NOW,
    } | fields


def started(project_id: str = "prj_1") -> JSON:
    return {
        "project_id": project_id,
        "task_id": "tsk_1",
        "project_name": "Unit converter",
        "status": "queued",
        "created_at": NOW,
        "events_url": f"/api/v2/projects/{project_id}/events",
    }


def stage(name: str, number: int, **fields: object) -> JSON:
    return {
        "project_id": "prj_1",
        "stage_name": name,
        "stage_number": number,
        "display_name": name.title(),
        "optional": False,
        "status": "pending",
        "build_no": 1,
        "attempt": 0,
        "agent_name": None,
        "started_at": None,
        "completed_at": None,
        "duration_seconds": None,
        "input_tokens": 0,
        "output_tokens": 0,
        "usage_unknown": False,
        "tool_calls": 0,
        "parts": [],
        "output_data": None,
        "error_message": None,
        "logs": [],
    } | fields


def stages() -> list[JSON]:
    return [stage(name, number) for number, name in enumerate(STAGES, 1)]


def session(session_id: str = "ses_1", **fields: object) -> JSON:
    return {
        "session_id": session_id,
        "agent_id": "agt_1",
        "user_id": "usr_local",
        "display_name": "",
        "status": "active",
        "message_count": 0,
        "active_reply": None,
        "metadata": None,
        "created_at": NOW,
        "last_active_at": NOW,
    } | fields


def reply(reply_id: str = "msg_1", **fields: object) -> JSON:
    return {
        "session_id": "ses_1",
        "reply_id": reply_id,
        "agent_id": "agt_1",
        "asked": "msg_0",
        "status": "running",
        "content": "",
        "error_message": None,
        "input_tokens": 0,
        "output_tokens": 0,
        "usage_unknown": False,
        "created_at": NOW,
        "completed_at": None,
    } | fields


def task(task_id: str = "tsk_1", **fields: object) -> JSON:
    return {
        "task_id": task_id,
        "task_type": "build_agent",
        "project_id": "prj_1",
        "build_no": 1,
        "status": "completed",
        "control_status": "running",
        "priority": 3,
        "result": None,
        "error_message": None,
        "retry_count": 0,
        "created_at": NOW,
        "started_at": NOW,
        "completed_at": NOW,
    } | fields
