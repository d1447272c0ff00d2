"""Who may see a row that names its audience."""

from __future__ import annotations

from typing import Self, TypeVar

from django.db import models

from parties.principals import Principal

Row = TypeVar("Row", bound=models.Model)


class AudienceQuerySet(models.QuerySet[Row]):
    """For rows with an ``audience``: ids of the organisations that may see them."""

    def visible_to(self, principal: Principal) -> Self:
        """Customs sees all; others what their organisation is a party of."""
        if principal.is_customs:
            return self
        return self.for_organisation(principal.organisation_id)

    def for_organisation(self, organisation_id: int | None) -> Self:
        return self.filter(audience__contains=[organisation_id or 0])
