"""What goes in and out about approvals, as pydantic models. Times are µs since 1970 (UTC)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from gateway.http.models import In
from gateway.http.models_workflows import PageQuery, Why
from gateway.http.params import Time

ApprovalStatus = Literal["waiting", "reached", "reserved", "consumed", "denied", "expired", "withdrawn"]


class ApprovalsQuery(PageQuery):
    """Which approvals, newest first."""

    status: ApprovalStatus | None = None
    run: str | None = Field(None, description="only those that this run asked for")


class GivenOut(BaseModel):
    """Somebody agreed."""

    by: str
    at: Time
    note: str


class ApprovalOut(BaseModel):
    """What people are asked to agree to."""

    approval: str
    status: str
    title: str
    what: Any
    digest: str
    requested_by: str
    step: str = Field(description="the step of the run that waits for it")
    approvers: list[str] = Field(description="empty: anybody but those who asked")
    quorum: int
    given: list[GivenOut]
    requested_at: Time
    expires_at: Time | None
    decided_at: Time | None
    holder: str | None
    note: str | None


class ApprovalsOut(BaseModel):
    """A page of approvals."""

    approvals: list[ApprovalOut]
    next: str | None
    position: int


class ApproveIn(In):
    """`digest` makes sure that what is agreed to is what was shown."""

    digest: Annotated[str, Field(max_length=200)] = ""
    note: Why = ""


class DenyIn(In):
    """Why."""

    note: Why = ""


class DecisionOut(BaseModel):
    """How the approval stands now."""

    approval: str
    status: str
    given: list[str] | None = None
    needed: int | None = Field(None, description="how many more must agree")
    position: int
    duplicate: bool
