"""Reading XML from strangers: any of the encodings in use, no document types, no entities, bounded size and depth."""

import codecs
import re
from typing import Any

from lxml import etree

from common.problems import Fault
from common.text import T

MAX_BYTES = 10 * 1024 * 1024
MAX_TAGS = 250_000
MAX_ATTRIBUTES = 1_000  # the interface has one; many on one element take lxml quadratic time

_ENCODINGS = {"utf-8": "utf-8", "utf-16": "utf-16", "gb18030": "gb18030", "gbk": "gb18030", "gb2312": "gb18030"}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
    (b"<\x00?\x00", "utf-16-le"),
    (b"\x00<\x00?", "utf-16-be"),
)
_DECLARED = re.compile(r"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_EQUALS = re.compile(r"=\s+[\"']").findall
_PROLOG = re.compile(r"<[A-Za-z_]")


class Refused(Exception):
    """The document as a whole cannot be read; carries the one fault that says why."""

    def __init__(self, code: str, text: Any, pointer: str = "") -> None:
        super().__init__(code)
        self.fault = Fault(pointer, code, text)


def read(data: bytes, charset: str = "") -> etree._Element:
    """The root element, or Refused. `charset` is what the Content-Type said, after the byte order mark and the declaration."""
    return _root(_decode(data, charset))


def _decode(data: bytes, charset: str) -> str:
    if len(data) > MAX_BYTES:
        raise Refused("too-large", T("报文超过 {n} MB", "The message is larger than {n} MB", n=MAX_BYTES >> 20))
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "")
    if not encoding:
        declared = _DECLARED.search(data[:300].decode("latin-1"))
        name = (declared.group(1) if declared else charset or "utf-8").lower().replace("_", "-")
        found = _ENCODINGS.get(name)
        if found is None or (found == "utf-16" and declared):
            raise Refused(
                "encoding-unknown",
                T(
                    "不支持的编码 {name}；请用 UTF-8 或 GB18030",
                    "The encoding {name} is not accepted; use UTF-8 or GB18030",
                    name=name[:40],
                ),
            )
        encoding = found
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Refused(
            "encoding-wrong",
            T(
                "内容不是有效的 {encoding}（第 {at} 字节处）",
                "The content is not valid {encoding} (at byte {at})",
                encoding=encoding.upper(),
                at=error.start,
            ),
        ) from None
    return text.removeprefix("\ufeff")


def _root(text: str) -> etree._Element:
    if not text.strip():
        raise Refused("empty", T("报文为空", "The message is empty"))
    start = _PROLOG.search(text)
    if "<!DOCTYPE" in text[: start.start() if start else len(text)]:
        raise doctype()
    if (
        text.count("<") > MAX_TAGS
        or text.count('="') + text.count("='") > MAX_ATTRIBUTES
        or len(_EQUALS(text)) > MAX_ATTRIBUTES
    ):
        raise Refused("too-much-markup", T("元素或属性过多", "Too many elements or attributes"))
    # The text is already decoded: without its declaration nothing can name another encoding.
    text = re.sub(r"\A\s*<\?xml[^>]*\?>", "", text, count=1)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        strip_cdata=True,
    )
    try:
        root = etree.fromstring(text.encode("utf-8", "surrogatepass"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 0
        reason = str(error).split(", line")[0][:200]
        raise Refused(
            "malformed-xml",
            T(
                "不是格式良好的 XML（第 {line} 行：{reason}）",
                "Not well-formed XML (line {line}: {reason})",
                line=line,
                reason=reason,
            ),
        ) from None
    if getattr(root.getroottree().docinfo, "doctype", ""):
        raise doctype()
    return root


def doctype() -> Refused:
    return Refused("doctype", T("不接受文档类型声明和实体", "Document type declarations and entities are not accepted"))
