"""PDF pages with Chinese and English text: where the fonts are, and the shape all documents share."""

from __future__ import annotations

import functools
import io
import logging
from importlib.util import find_spec
from pathlib import Path

import segno
from django.conf import settings
from fpdf import FPDF
from fpdf.errors import FPDFException

from common.problems import Problem
from common.text import T

# It tells every table of the font it looks at.
logging.getLogger("fontTools").setLevel(logging.WARNING)

#: Where fonts with Chinese glyphs stand, in order of preference; the number is the face of a collection that is
#: Simplified Chinese.
FONTS: tuple[tuple[str, int], ...] = (
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/truetype/noto/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/opentype/noto/NotoSansSC-Regular.otf", 0),
    ("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc", 0),
    ("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", 0),
    ("/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf", 0),
    ("/System/Library/Fonts/PingFang.ttc", 2),
)
#: A package from PyPI that holds Noto Sans SC (SIL OFL 1.1), for machines that have none of the above.
PACKAGE = ("pylopdf_fonts_zh_cn", "NotoSansSC-Regular.otf")


@functools.cache
def font() -> tuple[str, int] | None:
    """A font with Chinese glyphs: ``PDF_FONT`` where set, else the first that is there; None where there is none."""
    if settings.PDF_FONT:
        return (settings.PDF_FONT, 0) if Path(settings.PDF_FONT).is_file() else None
    for path, face in FONTS:
        if Path(path).is_file():
            return path, face
    spec = find_spec(PACKAGE[0])
    if spec is not None and spec.submodule_search_locations:
        path = str(Path(next(iter(spec.submodule_search_locations))) / PACKAGE[1])
        if Path(path).is_file():
            return path, 0
    return None


def no_font() -> Problem:
    return Problem(
        503,
        "no-font",
        T("本机没有中文字体，不能生成 PDF", "This machine has no font with Chinese glyphs, so no PDF can be made"),
        detail=T(
            "请安装 fonts-noto-cjk（Debian/Ubuntu：apt-get install fonts-noto-cjk），或设置 PDF_FONT 指向含中文字形的字体文件",
            "Install fonts-noto-cjk (Debian/Ubuntu: apt-get install fonts-noto-cjk), or set PDF_FONT to the file of a"
            " font that has Chinese glyphs",
        ),
    )


class Page(FPDF):
    """A4 with one font, ``text``, for both languages; only the glyphs used are embedded. Raises Problem 503 where no font
    has Chinese glyphs."""

    def __init__(self) -> None:
        super().__init__(format="A4")
        found = font()
        if found is None:
            raise no_font()
        try:
            self.add_font("text", fname=found[0], collection_font_number=found[1])
        except (FPDFException, OSError, ValueError) as error:
            raise no_font() from error
        self.set_font("text", size=10)

    def qr(self, text: str, *, x: float, y: float, side: float = 28) -> None:
        """A QR code of ``text`` at this place (millimetres)."""
        image = io.BytesIO()
        segno.make(text, error="m").save(image, kind="png", scale=6, border=2)
        image.seek(0)
        self.image(image, x=x, y=y, w=side)


class Document(Page):
    """A page of labels and values."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.set_title(title)
        self.set_margins(18, 16)
        self.set_auto_page_break(True, 18)
        self.add_page()

    def heading(self, text: str, size: float = 16) -> None:
        self.set_font_size(size)
        self.multi_cell(0, size * 0.55, text, new_x="LMARGIN", new_y="NEXT")
        self.set_font_size(10)

    def rows(self, pairs: list[tuple[str, str]], label_width: float = 52) -> None:
        """Label and value, one pair a row as high as the taller of them; a row that does not fit goes to the next page."""
        for label, value in pairs:
            width = self.epw - label_width
            lines = max(self._lines(label_width, label), self._lines(width, value or "—"))
            if self.will_page_break(min(lines, 30) * 6.2):
                self.add_page()
            top, page = self.get_y(), self.page
            self.set_text_color(90)
            self.multi_cell(label_width, 6.2, label, new_x="RIGHT", new_y="TOP", align="L")
            self.set_text_color(0)
            self.multi_cell(width, 6.2, value or "—", new_x="LMARGIN", new_y="NEXT", align="L")
            if self.page == page:
                self.set_y(max(self.get_y(), top + lines * 6.2))
            self.set_draw_color(215)
            self.line(self.l_margin, self.get_y() + 0.4, self.w - self.r_margin, self.get_y() + 0.4)
            self.ln(1.2)

    def _lines(self, width: float, text: str) -> int:
        found = self.multi_cell(width, 6.2, text, dry_run=True, output="LINES")
        return len(found) if isinstance(found, list) else 1

    def bytes(self) -> bytes:
        return bytes(self.output())
