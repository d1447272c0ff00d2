from django.apps import AppConfig


class ClearanceConfig(AppConfig):
    name = "clearance"

    def ready(self) -> None:
        from clearance import checks, release, requests  # noqa: F401  checks enter themselves into the registry
        from declarations import decisions, lodgement

        decisions.GUARDS.setdefault("release", []).append(release.guard)
        lodgement.HELD_TO.append(requests.held_to)
        decisions.FOLLOWERS.setdefault("release", []).append(release.note)
