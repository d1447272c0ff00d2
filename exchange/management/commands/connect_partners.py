from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from oauth2_provider.models import Application

from common.problems import Problem
from exchange import agreements, endpoints, partners
from exchange.models import Partner
from parties import registration
from parties.models import Organisation, OrganisationRole
from parties.principals import SYSTEM


class Command(BaseCommand):
    help = """Connect partners from a JSON file (or "-"): a list of
    {code, name, base_url, client_id, client_secret,   what we log in with at the partner
     their_client_id, their_client_secret,             what the partner logs in with here
     secret,                                           verifies its messages (whsec_ or whpk_)
     endpoint: {url, secret, timeout},                 where we send ours
     out: {kinds, types, fields}, in: {...}}           what is shared.
    Partners that are connected already are left as they are."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file")

    def handle(self, *args: Any, **options: Any) -> None:
        raw = sys.stdin.buffer.read() if options["file"] == "-" else Path(options["file"]).read_bytes()
        for given in orjson.loads(raw):
            if Partner.objects.filter(code=given["code"]).exists():
                self.stdout.write(f"{given['code']}: connected already")
                continue
            try:
                self._connect(given)
            except Problem as problem:
                raise CommandError(f"{given['code']}: {problem}") from problem
            self.stdout.write(f"{given['code']}: connected")

    @transaction.atomic
    def _connect(self, given: dict[str, Any]) -> None:
        organisation = Organisation.objects.filter(
            roles__contains=[OrganisationRole.PARTNER_PROVINCE], province=given["code"]
        ).first() or registration.register_organisation(
            name=given["name"], roles=[OrganisationRole.PARTNER_PROVINCE], province=given["code"]
        )
        partner = partners.connect(
            organisation=organisation,
            code=given["code"],
            actor=SYSTEM,
            base_url=given.get("base_url", ""),
            client_id=given.get("client_id", ""),
            client_secret=given.get("client_secret", ""),
            secret=given.get("secret"),
        )
        for direction in ("out", "in"):
            if terms := given.get(direction):
                agreements.agree(partner=partner, direction=direction, actor=SYSTEM, **terms)
        if endpoint := given.get("endpoint"):
            endpoints.create(
                principal=SYSTEM, organisation_id=organisation.pk, partner=partner, event_types=["*"], **endpoint
            )
        if given.get("their_client_id"):
            client, _ = registration.register_client(organisation=organisation, name=f"partner {given['code']}")
            application: Application = client.application
            application.client_id = given["their_client_id"]
            application.client_secret = given["their_client_secret"]
            application.save()
