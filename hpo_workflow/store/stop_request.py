"""A request to end a study (`hpo stop`): written from anywhere, read by whoever runs the study.

It holds until somebody starts the study again. Running trials finish, or end as lost attempts: then `stop.json` is
written too, which their runners see, and their next attempts go on from what they have saved.
"""

from __future__ import annotations

import os
import time
from typing import Any

from hpo_workflow.store.atomic import read_json, replace, to_json
from hpo_workflow.store.paths import StudyPaths

FINISH, CANCEL = "finish", "cancel"
REASON = "stop_request"
"""The reason in `stop.json` under which a running trial ends as a lost attempt, not as cancelled for good."""


def request_stop(paths: StudyPaths, running: str, who: str) -> None:
    """Ask that the study be ended.

    Args:
        running: What becomes of trials that run, FINISH or CANCEL.
        who: Who asks, for people.
    """
    asked = {"running": running, "by": who, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    replace(paths.stop_request, to_json(asked) + "\n")
    if running == CANCEL:
        replace(paths.stop, to_json({"reason": REASON, "at": asked["at"]}) + "\n")


def stop_request(paths: StudyPaths) -> dict[str, Any] | None:
    """The request that holds: `running`, `by`, `at`; a garbled one lets running trials finish."""
    try:
        found: Any = read_json(paths.stop_request)
    except ValueError:
        found = {}
    if found is None:
        return None
    known = found if isinstance(found, dict) else {}
    running = CANCEL if known.get("running") == CANCEL else FINISH
    return {"running": running, "by": str(known.get("by", "")), "at": str(known.get("at", ""))}


def withdraw_stop(paths: StudyPaths) -> bool:
    """Take the request back, before the study is started again; whether there was one."""
    try:
        os.unlink(paths.stop_request)
    except FileNotFoundError:
        return False
    try:
        stop: Any = read_json(paths.stop)
    except ValueError:
        stop = None
    if isinstance(stop, dict) and stop.get("reason") == REASON:
        os.unlink(paths.stop)
    return True
