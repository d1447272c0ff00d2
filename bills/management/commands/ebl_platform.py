from __future__ import annotations

from pathlib import Path
from typing import Any

import requests
from django.core.management.base import BaseCommand, CommandError, CommandParser

from bills import keys
from bills.canonical import NotCanonical, parse
from bills.signing import BadKey
from common.problems import Problem
from parties.models import ApiClient


class Command(BaseCommand):
    help = "Register another eBL platform (DCSA PINT) and the keys it publishes, or read its keys anew."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("code", help="its platform code, at most 4 characters")
        parser.add_argument("base_url", help="where its PINT API stands, without /v3")
        parser.add_argument("jwks", help="its JWKS: a file, or an address (compare the thumbprints out of band)")
        parser.add_argument("--name", default="")
        parser.add_argument("--client", help="client id under which it calls us")
        parser.add_argument("--token-url", default="", help="where we get tokens for calling it")
        parser.add_argument("--client-id", default="")
        parser.add_argument("--client-secret-file", type=Path, help="file that holds the secret")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["jwks"].startswith(("http://", "https://")):
                answer = requests.get(options["jwks"], timeout=20, allow_redirects=False)
                answer.raise_for_status()
                jwks = parse(answer.content)
            else:
                jwks = parse(Path(options["jwks"]).read_bytes())
            organisation = None
            if options["client"]:
                client = ApiClient.objects.select_related("organisation").get(application__client_id=options["client"])
                organisation = client.organisation
            secret = options["client_secret_file"].read_text().strip() if options["client_secret_file"] else ""
            platform = keys.register_platform(
                code=options["code"],
                name=options["name"] or options["code"],
                base_url=options["base_url"],
                jwks=jwks,
                organisation=organisation,
                token_url=options["token_url"],
                client_id=options["client_id"],
                client_secret=secret,
            )
        except (requests.RequestException, OSError, NotCanonical, BadKey, Problem, ApiClient.DoesNotExist) as error:
            raise CommandError(str(error) or type(error).__name__) from error
        self.stdout.write(f"{platform}: {len(jwks.get('keys', ()))} keys")
