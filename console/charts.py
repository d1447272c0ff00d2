"""Charts as SVG, drawn by the server: no script, no download, and readable by a screen reader through the title."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT = 640, 180
LEFT, TOP, BOTTOM = 34, 12, 22


class Series(NamedTuple):
    name: str
    #: CSS class of its bars ("", "two", "warn", "bad").
    tone: str
    values: Sequence[float]


def ceiling(value: float) -> int:
    """The next number a person would end an axis at."""
    if value % 1 and value < 1:
        return 1
    if value <= 4:
        return 4
    step = 1
    while True:
        for factor in (1, 2, 4, 5):
            if value <= factor * step * 4 and factor * step * 4 % 4 == 0:
                return factor * step * 4
        step *= 10


def bars(
    title: str, labels: Sequence[str], series: Sequence[Series], *, every: int = 1, stacked: bool = False
) -> SafeString:
    """Groups (or stacks) of bars, one for each label; every ``every``-th label is written."""
    totals = [sum(values) if stacked else max(values) for values in zip(*(s.values for s in series), strict=True)]
    top = ceiling(max(totals, default=0))
    plot_width, plot_height = WIDTH - LEFT - 6, HEIGHT - TOP - BOTTOM
    group = plot_width / max(1, len(labels))
    lines = [
        (LEFT, TOP + plot_height * (4 - n) / 4, WIDTH - 6, TOP + plot_height * (4 - n) / 4, f"{top * n / 4:g}")
        for n in range(5)
    ]
    boxes: list[tuple[str, str, str, str, str, str]] = []
    for index, label in enumerate(labels):
        base = 0.0
        for place, one in enumerate(series):
            value = one.values[index]
            tall = plot_height * value / top
            wide = group * 0.7 if stacked else group * 0.7 / len(series)
            x = LEFT + group * index + group * 0.15 + (0 if stacked else wide * place)
            y = TOP + plot_height - tall - base
            base += tall if stacked else 0
            if value:
                boxes.append(
                    (
                        one.tone,
                        f"{x:.1f}",
                        f"{y:.1f}",
                        f"{max(1.0, wide - 1):.1f}",
                        f"{tall:.1f}",
                        f"{label} {one.name}: {value}",
                    )
                )
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>{}{}{}</svg>',
        WIDTH,
        HEIGHT,
        title,
        title,
        format_html_join(
            "",
            '<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/><text x="28" y="{}" text-anchor="end">{}</text>',
            ((x1, f"{y1:.1f}", x2, f"{y2:.1f}", f"{y1 + 4:.1f}", text) for x1, y1, x2, y2, text in lines),
        ),
        format_html_join(
            "",
            '<rect class="bar {}" x="{}" y="{}" width="{}" height="{}" rx="1"><title>{}</title></rect>',
            boxes,
        ),
        format_html_join(
            "",
            '<text x="{}" y="{}" text-anchor="middle">{}</text>',
            (
                (f"{LEFT + group * (n + 0.5):.1f}", HEIGHT - 6, label)
                for n, label in enumerate(labels)
                if n % every == 0
            ),
        ),
    )
