"""GET /v1/subjects, POST /v1/subjects/{subject}/erase, GET /v1/erasures/{id}: people whose fields are sealed."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import BaseModel, Field

from events.errors import NotFound
from gateway.http import body
from gateway.http.context import patience
from gateway.http.models import In, Query, Reason
from gateway.http.params import Limit, Time
from gateway.http.route import Call, answer
from gateway.http.subjects_port import Subjects


class SubjectsQuery(Query):
    """Which subjects."""

    after: str = Field("", description="only subjects that come after this one")
    limit: Limit | None = Field(None, description="rows of a page")


class EraseIn(In):
    """Why."""

    reason: Reason


class SubjectOut(BaseModel):
    """A subject: the id of its key, and since when there is one (µs)."""

    subject: str
    key: str
    since: Time


class SubjectsOut(BaseModel):
    """Some subjects, by name."""

    subjects: list[SubjectOut]
    next: str | None


class SubjectUseOut(SubjectOut):
    """A subject and what is sealed for it."""

    streams: list[str]
    events: int
    messages: int
    mails: int
    timers: int
    effects: int


class ErasureOut(BaseModel):
    """An erasure: the keys are gone at once; `receipt` says what else was done, once all of it is."""

    id: str
    keys: list[str]
    by: str
    reason: str
    at: Time
    done: bool
    receipt: dict[str, Any] | None


async def list_subjects(call: Call) -> web.Response:
    """People with sealed fields."""
    limit = min(call.query.limit or call.settings.page, call.settings.max_page)
    found = await _subjects(call).list(call.tenant, call.query.after, limit)
    return answer({"subjects": found, "next": found[-1]["subject"] if len(found) == limit else None})


async def show(call: Call) -> web.Response:
    """One of them, and where it is."""
    return answer(await _subjects(call).show(call.tenant, call.path("subject")))


async def erase(call: Call) -> web.Response:
    """Destroy its key; 200 when all is done, 202 when that goes on."""
    asked = await body.model(call, EraseIn)
    who = call.principal.name
    found = await _subjects(call).erase(call.tenant, call.path("subject"), who, asked.reason, patience(call))
    return answer(found, status=200 if found["done"] else 202)


async def erasure(call: Call) -> web.Response:
    """How an erasure stands."""
    return answer(await _subjects(call).erasure(call.tenant, call.path("id")))


def _subjects(call: Call) -> Subjects:
    if call.door.subjects is None:
        raise NotFound("no type here has personal fields", hint="mark some with events.subject")
    return call.door.subjects
