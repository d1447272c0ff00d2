"""Who is asking: one shape for machines, officers and strangers. What they may see is decided from this alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a command. ``actor`` is how the event log names it."""

    actor: str
    organisation_id: int | None = None
    organisation_name: str = ""
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    #: Customs offices an officer is assigned to today.
    offices: frozenset[str] = frozenset()
    duties: frozenset[str] = frozenset()
    is_officer: bool = False
    is_superuser: bool = False
    user: Any = field(default=None, compare=False, repr=False)
    is_authenticated: bool = True

    def has_scope(self, scope: str | None) -> bool:
        return scope is not None and scope in self.scopes

    @property
    def is_customs(self) -> bool:
        """Customs' officers and customs' own systems."""
        return self.is_officer or "customs_office" in self.roles

    def has_duty(self, duty: str) -> bool:
        return self.is_superuser or duty in self.duties


class Anonymous(Principal):
    """DRF's UNAUTHENTICATED_USER."""

    def __init__(self) -> None:
        super().__init__(actor="anonymous", is_authenticated=False)


def caller(request: Any) -> Principal:
    """Who sent this API request."""
    principal: Principal = request.user
    return principal


#: The system itself, when no person or machine asked.
SYSTEM = Principal(actor="system")
