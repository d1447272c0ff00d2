"""The look: local files only, contrast of WCAG AA in both themes, Chinese first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client

CONSOLE = Path(__file__).parents[2] / "console"
CSS = (CONSOLE / "static/console/console.css").read_text()


def _theme(selector: str) -> dict[str, str]:
    block = CSS.split(selector + " {", 1)[1].split("}", 1)[0]
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})\b", block))


LIGHT = _theme(":root")
DARK = LIGHT | _theme(':root[data-theme="dark"]')


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


PAIRS = [
    *((ink, ground) for ink in ("ink", "ink-2", "ink-3", "accent") for ground in ("bg", "surface", "surface-2")),
    *((tone, ground) for tone in ("ok", "warn", "bad", "info") for ground in ("surface", f"{tone}-soft")),
    ("on-accent", "accent"),
    ("ink-2", "quiet-soft"),
    ("ink", "accent-soft"),
    ("ink", "mark"),
    ("nav-ink", "nav"),
    ("nav-ink-2", "nav"),
    ("nav-ink", "nav-on"),
]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), [(i, g.replace("tone", i)) for i, g in PAIRS])
def test_text_has_the_contrast_of_wcag_aa(theme: dict[str, str], ink: str, ground: str) -> None:
    assert contrast(theme[ink], theme[ground]) >= 4.5


def test_every_file_is_local() -> None:
    for path in [*CONSOLE.rglob("*.html"), *CONSOLE.rglob("*.css"), *CONSOLE.rglob("*.js")]:
        found = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(https?:)?//""", path.read_text())
        assert not found, path


@pytest.mark.django_db
def test_the_console_speaks_chinese_until_told_otherwise() -> None:
    client = Client(headers={"Accept-Language": "en"})
    assert "用户名" in client.get("/console/login/").content.decode()
    client.post("/i18n/setlang/", {"language": "en", "next": "/console/login/"})
    page = client.get("/console/login/").content.decode()
    assert "User name" in page
    assert "用户名" not in page
