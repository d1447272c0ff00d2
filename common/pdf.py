"""PDF pages with Chinese and English text: where the fonts are, and the shape all documents share."""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path

import segno
from fpdf import FPDF

from common.problems import Problem
from common.text import T

#: Fonts with the characters of both languages, first found is taken. ``PDF_FONT`` names another.
FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
)
#: In the Noto collections the third face is Simplified Chinese.
SIMPLIFIED_FACE = 2


@lru_cache(maxsize=1)
def font() -> tuple[str, int]:
    """Path and face of a font that has the characters. Raises Problem 503 where none is installed (``make browser``)."""
    for path in (os.environ.get("PDF_FONT", ""), *FONTS):
        if path and Path(path).is_file():
            return path, SIMPLIFIED_FACE if "NotoSansCJK" in path else 0
    raise Problem(
        503,
        "no-font",
        T("服务器未安装中文字体，无法生成 PDF", "No font with Chinese characters is installed to make PDFs"),
    )


class Document(FPDF):
    """An A4 page with one font for both languages. Text is shaped and only the glyphs used are embedded."""

    def __init__(self, title: str) -> None:
        super().__init__(format="A4")
        path, face = font()
        self.add_font("text", fname=path, collection_font_number=face)
        self.set_font("text", size=10)
        self.set_title(title)
        self.set_margins(18, 16)
        self.set_auto_page_break(True, 18)
        self.add_page()

    def heading(self, text: str, size: float = 16) -> None:
        self.set_font_size(size)
        self.multi_cell(0, size * 0.55, text, new_x="LMARGIN", new_y="NEXT")
        self.set_font_size(10)

    def qr(self, text: str, *, x: float, y: float, side: float = 28) -> None:
        """A QR code of ``text`` at this place (millimetres)."""
        image = io.BytesIO()
        segno.make(text, error="m").save(image, kind="png", scale=6, border=2)
        image.seek(0)
        self.image(image, x=x, y=y, w=side)

    def rows(self, pairs: list[tuple[str, str]], label_width: float = 52) -> None:
        """Label and value, one pair a row."""
        for label, value in pairs:
            top = self.get_y()
            self.set_text_color(90)
            self.multi_cell(label_width, 6.2, label, new_x="RIGHT", new_y="TOP", align="L")
            self.set_text_color(0)
            self.multi_cell(0, 6.2, value or "—", new_x="LMARGIN", new_y="NEXT", align="L")
            self.set_draw_color(215)
            self.line(self.l_margin, max(self.get_y(), top) + 0.4, self.w - self.r_margin, self.get_y() + 0.4)
            self.ln(1.2)

    def bytes(self) -> bytes:
        return bytes(self.output())
