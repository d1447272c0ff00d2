from django.apps import AppConfig


class ClearanceConfig(AppConfig):
    name = "clearance"

    def ready(self) -> None:
        from clearance import checks, release  # noqa: F401  checks enter themselves into the registry
        from declarations import decisions

        decisions.GUARDS.setdefault("release", []).append(release.guard)
        decisions.FOLLOWERS.setdefault("release", []).append(release.note)
