"""Approving what would be published: signatures into files beside the trust document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sealpipe.crypto.keys import SigningKey
from sealpipe.documents.write import dump_yaml
from sealpipe.errors import RefusedError, TrustError, Where
from sealpipe.files import write_atomic
from sealpipe.flows.drafts import need_published_environment
from sealpipe.flows.planning import Request, plan_published
from sealpipe.flows.ship import approval_digest, check_expected, need_trust
from sealpipe.frozen import NamedTuple
from sealpipe.model import Plan, UnitPlan, Workspace
from sealpipe.publishing.approvals import approval_file, approve, role_of
from sealpipe.trees import WorkTree
from sealpipe.trust import TRUST_FILE, Pin

HEADER = "# An approval of exactly one content of one service. Written by `sealpipe approve`; commit it.\n"


class Approval(NamedTuple):
    """What would be approved, as whom."""

    plan: Plan
    units: tuple[UnitPlan, ...]
    name: str
    key: SigningKey


def prepare_approval(
    workspace: Workspace,
    request: Request,
    services: Sequence[str],
    *,
    pins: tuple[Pin, ...],
    keys: Sequence[SigningKey],
) -> Approval:
    """The plan and the units of it to approve. Raises RefusedError [not-an-approver, nothing-to-approve,
    other-plan], TrustError [no-key], and what planning raises.
    """
    need_published_environment(workspace, request.environment)
    trust = need_trust(workspace)
    role = role_of(trust, request.environment)
    mine = [(name, key) for name in role.of for key in keys if trust.keys[name].sign == key.public]
    if not keys:
        raise TrustError("no-key", "nothing to sign with: there is no key here", hint=["sealpipe keys new"])
    if role.need == 0:
        raise RefusedError("nothing-to-approve", f"{request.environment} asks for no approvals")
    if not mine:
        raise RefusedError(
            "not-an-approver",
            f"your key may not approve for {request.environment}",
            where=Where(TRUST_FILE),
            why=[f"environments.{request.environment}.approvals: {', '.join(role.of)}"],
        )
    planned = plan_published(workspace, request, pins)
    check_expected(request, planned)
    chosen = tuple(
        one
        for one in planned.units
        if (one.writes or one.action == "refused") and (not services or one.unit.service in services)
    )
    if not chosen:
        raise RefusedError(
            "nothing-to-approve",
            f"nothing would change in {request.environment}"
            + (f" for {', '.join(services)}" if services else ""),
            hint=[f"sealpipe plan {request.environment}"],
        )
    return Approval(planned, chosen, *mine[0])


def write_approval(workspace: Workspace, approval: Approval) -> tuple[str, ...]:
    """Sign and write the files; returns their paths. The trust document is not touched."""
    trust = need_trust(workspace)
    tree = WorkTree(workspace.root)
    written = []
    for one in approval.units:
        digest = approval_digest(one)
        file = approval_file(one.unit, digest)
        data = approve(tree, trust, one.unit, digest, [(approval.name, approval.key)])
        path = Path(workspace.root, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, dump_yaml(data, header=HEADER).encode())
        written.append(file)
    return tuple(written)
