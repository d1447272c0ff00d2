"""Who is asking: one shape for machines, officers and strangers. What they may see is decided from this alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from parties.models import AUTHORITIES, OrganisationRole


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
    def is_authority(self) -> bool:
        """A person in the console on behalf of an authority. People of a bank, a firm or a charging body work there as well,
        on what is their own."""
        return self.is_superuser or (self.is_officer and bool(AUTHORITIES & self.roles))

    @property
    def is_customs(self) -> bool:
        """Officers of the authorities, and customs' own systems."""
        return self.is_authority or OrganisationRole.CUSTOMS_OFFICE in self.roles

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
