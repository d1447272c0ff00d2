"""Bills, their acts and versions, what leaves the register for others to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from bills import acts, departing, division, exporting, issuing, journey, recording, sight, verify
from bills.api import serializers as s
from bills.content import SCHEMA
from bills.examples import CONTENT as CONTENT_EXAMPLE
from bills.models import Act, Bill
from bills.recording import ASK, Unsigned
from bills.sight import Sight
from bills.wire import efbl
from common import etags
from common.api import View, unchanged
from common.asked import asked_moment
from common.pagination import OLDEST_CHANGE_FIRST
from common.problems import Fault, Problem, invalid, not_found
from common.text import T
from parties.principals import Principal, caller

CONTENT = {"application/json": {k: v for k, v in SCHEMA.items() if not k.startswith("$")}}


def shown(value: Any) -> OpenApiExample:
    """An example of a request's body."""
    return OpenApiExample("example", value, request_only=True)


def visible(request: Request, number: str) -> Bill:
    bill = (
        Bill.objects.visible_to(caller(request))
        .select_related("issuer", "holder", "pledgee")
        .filter(number=number)
        .first()
    )
    if bill is None:
        raise not_found()
    return bill


def wanted(serializer: type[Any], request: Request) -> dict[str, Any]:
    made = serializer(data=request.data or {})
    made.is_valid(raise_exception=True)
    return dict(made.validated_data)


def etag(bill: Bill) -> str:
    """Changes with every act, every change of a draft, every event of a leg and every paper."""
    return f'"{bill.acts}-{bill.updated_at.timestamp():.6f}"'


def detail(request: Request, number: str, status: int = 200) -> Response:
    """The bill as it is now; 304 where the caller has it."""
    bill = visible(request, number)
    if request.method == "GET" and unchanged(request, etag(bill)):
        return Response(status=304, headers={"ETag": etag(bill)})
    principal = caller(request)
    context = {"principal": principal, "sight": sight.of(bill, principal)}
    return Response(s.BillDetailSerializer(bill, context=context).data, status=status, headers={"ETag": etag(bill)})


@extend_schema_view(
    get=extend_schema(
        summary="本单位可见的提单",
        parameters=[
            OpenApiParameter("state", str), OpenApiParameter("held", bool), OpenApiParameter("pledged_to_me", bool),
            OpenApiParameter("container", str), OpenApiParameter("updated_since", OpenApiTypes.DATETIME),
        ],
        responses=s.BillSerializer(many=True),
    ),
    post=extend_schema(summary="起草提单", examples=[shown(CONTENT_EXAMPLE)], request=CONTENT, responses={201: s.BillDetailSerializer}),
)  # fmt: skip
class Bills(View):
    """Bills the caller issued, holds, has in pledge or is named in; a new draft."""

    scopes = {"GET": "bills:read", "POST": "bills:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        principal, query = caller(request), request.query_params

        def row(bill: Bill) -> dict[str, Any]:
            return dict(s.BillSerializer(bill, context={"principal": principal}).data)

        bills = Bill.objects.visible_to(principal).select_related("issuer", "holder", "pledgee")
        if state := query.get("state"):
            bills = bills.filter(state=state)
        if query.get("held") == "true":
            bills = bills.filter(holder_id=principal.organisation_id)
        if query.get("pledged_to_me") == "true":
            bills = bills.filter(pledgee_id=principal.organisation_id)
        if container := query.get("container"):
            bills = bills.filter(containers__number=container)
        if since := asked_moment(query, "updated_since"):
            bills = bills.filter(updated_at__gte=since)
            return self.paged(request, bills, row, ordering=OLDEST_CHANGE_FIRST)
        return self.paged(request, bills, row)

    def post(self, request: Request) -> Response:
        bill = issuing.draft(principal=caller(request), content=cast(dict[str, Any], request.data))
        made = detail(request, bill.number, 201)
        made["Location"] = f"/api/v1/bills/{bill.number}"
        return made


@extend_schema_view(
    get=extend_schema(summary="提单详情", responses=s.BillDetailSerializer),
    put=extend_schema(
        summary="修改草稿", examples=[shown(CONTENT_EXAMPLE)], request=CONTENT, responses=s.BillDetailSerializer
    ),
)
class BillDetail(View):
    """A bill with the content of its version in force."""

    scopes = {"GET": "bills:read", "PUT": "bills:write"}
    idempotent = True

    def get(self, request: Request, number: str) -> Response:
        return detail(request, number)

    def put(self, request: Request, number: str) -> Response:
        with as_read(request, number):
            issuing.redraft(principal=caller(request), number=number, content=cast(dict[str, Any], request.data))
        return detail(request, number)


@contextmanager
def as_read(request: Request, number: str) -> Iterator[None]:
    """What is done within, is done on the bill that If-Match names: its row is locked before it is compared."""
    given = request.headers.get("If-Match")
    if not given:
        yield
        return
    with transaction.atomic():
        if not etags.names(given, etag(recording.lock(number, caller(request)))):
            raise Problem(412, "stale", T("提单已变化，请重新读取", "The bill has changed: read it again"))
        yield


@extend_schema_view(
    post=extend_schema(
        summary="由 FIATA eFBL 起草提单",
        examples=[shown(efbl.to_efbl(CONTENT_EXAMPLE))],
        request=OpenApiTypes.OBJECT,
        responses={201: s.BillDetailSerializer},
    )
)
class FromEfbl(View):
    """A draft from a FIATA eFBL; what has no place in the bill is carried and comes back in the eFBL."""

    scopes = {"POST": "bills:write"}
    idempotent = True

    def post(self, request: Request) -> Response:
        try:
            content = efbl.from_efbl(cast(dict[str, Any], request.data))
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise invalid(
                [Fault("", "not-an-efbl", T("不是 FIATA eFBL：{why}", "Not a FIATA eFBL: {why}", why=repr(error)))]
            ) from error
        bill = issuing.draft(principal=caller(request), content=content)
        return detail(request, bill.number, 201)


@extend_schema_view(
    get=extend_schema(summary="行为链", responses=s.ActSerializer(many=True)),
    post=extend_schema(
        summary="执行行为（签发、背书、转让、出质、交单……）",
        examples=[shown({"act": "TRANSFER", "recipient": 7})],
        request=s.DoActSerializer,
        responses={201: s.ActSerializer},
    ),
)
class Acts(View):
    """Acts on the bill. Who is neither issuer, holder nor pledgee sees those it took part in."""

    scopes = {"GET": "bills:read", "POST": "bills:write"}
    idempotent = True

    def get(self, request: Request, number: str) -> Response:
        found = Act.objects.visible_to(caller(request)).filter(bill=visible(request, number))
        found = found.select_related("actor", "recipient")
        # A chain is read from its beginning.
        return self.paged(request, found, s.ActSerializer, ordering=("sequence", "id"))

    def post(self, request: Request, number: str) -> Response:
        asked, principal = wanted(s.DoActSerializer, request), caller(request)
        code = asked.pop("act")
        manifest = asked.pop("issuance_manifest", "")
        with as_read(request, number):
            if code == "ISSUE":
                made = issuing.issue(
                    number=number, principal=principal, signed=asked.get("signed", ""), issuance_manifest=manifest,
                    comments=asked.get("comments", ""),
                )  # fmt: skip
            else:
                made = acts.act(number=number, code=code, principal=principal, **asked)
        return Response(s.ActSerializer(made).data, status=201)


#: Acts that are commands of their own, by the name to-sign knows them under: what the command takes, and the command.
SIGNABLE: dict[str, tuple[type[Any], Any]] = {
    "AMEND": (s.AmendSerializer, issuing.amend),
    "TO_PAPER": (s.CommentSerializer, issuing.to_paper),
    "FROM_PAPER": (s.FromPaperSerializer, issuing.from_paper),
    "VOID": (s.CommentSerializer, issuing.void),
    "DELIVER": (s.DeliverSerializer, journey.deliver),
}


@extend_schema_view(
    post=extend_schema(
        summary="待签名内容",
        examples=[shown({"act": "TRANSFER", "recipient": 7})],
        request=s.ToSignSerializer,
        responses=OpenApiTypes.OBJECT,
    )
)
class ToSign(View):
    """What to sign to do an act: sign its RFC 8785 form as a JWS and send it as ``signed`` with the act or command. The
    body is what that takes, with ``act`` naming it (``platform`` and the rest of a departure for one). Acts that make a
    version (ISSUE, AMEND, FROM_PAPER) are asked twice: first the answer holds the issuance manifest; asked again with it,
    signed, as ``issuance_manifest``, it holds the act as well."""

    scopes = {"POST": "bills:write"}

    def post(self, request: Request, number: str) -> Response:
        asked, principal = wanted(s.ToSignSerializer, request), caller(request)
        code = asked.pop("act")
        command: Any
        if isinstance(request.data, dict) and "platform" in request.data:
            given, command = wanted(s.LeaveSerializer, request), departing.leave
        elif code == "ISSUE":
            manifest = asked.get("issuance_manifest", "")
            given, command = {"issuance_manifest": manifest, "comments": asked.get("comments", "")}, issuing.issue
        elif code in SIGNABLE:
            takes, command = SIGNABLE[code]
            given = wanted(takes, request)
        else:
            asked.pop("signed", None)
            asked.pop("issuance_manifest", None)
            given, command = asked | {"code": code}, acts.act
        try:
            command(number=number, principal=principal, **given | {"signed": ASK})
        except Unsigned as found:
            return Response({**found.beside, "act": found.payload or None} if found.beside else found.payload)
        raise AssertionError(code)


class Command(View):
    """One of the commands that need more than an act's name; answers with the bill."""

    scopes = {"POST": "bills:write"}
    idempotent = True
    serializer: type[Any] = s.CommentSerializer

    def run(self, number: str, principal: Principal, asked: dict[str, Any]) -> None:
        raise NotImplementedError

    def post(self, request: Request, number: str) -> Response:
        with as_read(request, number):
            self.run(number, caller(request), wanted(self.serializer, request))
        return detail(request, number)


@extend_schema_view(
    post=extend_schema(
        summary="更改（新版本）",
        examples=[shown({"content": CONTENT_EXAMPLE})],
        request=s.AmendSerializer,
        responses=s.BillDetailSerializer,
    )
)
class Amend(Command):
    serializer = s.AmendSerializer

    def run(self, number: str, principal: Principal, asked: dict[str, Any]) -> None:
        issuing.amend(number=number, principal=principal, **asked)


@extend_schema_view(
    post=extend_schema(
        summary="分单",
        examples=[shown({"parts": [{"goods": [], "containers": []}, {"goods": [], "containers": []}]})],
        request=s.SplitSerializer,
        responses=s.BillDetailSerializer,
    )
)
class Split(Command):
    serializer = s.SplitSerializer

    def run(self, number: str, principal: Principal, asked: dict[str, Any]) -> None:
        if not all(isinstance(part, dict) for part in asked["parts"]):
            raise invalid([Fault("/parts", "shape", T("每一部分应为对象", "Each part is an object"))])
        division.split(number=number, principal=principal, **asked)


@extend_schema_view(
    post=extend_schema(
        summary="转为纸质",
        examples=[shown({"comments": "SWTP"})],
        request=s.CommentSerializer,
        responses=s.BillDetailSerializer,
    )
)
class ToPaper(Command):
    def run(self, number: str, principal: Principal, asked: dict[str, Any]) -> None:
        issuing.to_paper(number=number, principal=principal, **asked)


@extend_schema_view(
    post=extend_schema(
        summary="纸质收回转电子",
        examples=[shown({"returned": 1, "presenter": 7})],
        request=s.FromPaperSerializer,
        responses=s.BillDetailSerializer,
    )
)
class FromPaper(Command):
    serializer = s.FromPaperSerializer

    def run(self, number: str, principal: Principal, asked: dict[str, Any]) -> None:
        issuing.from_paper(number=number, principal=principal, **asked)


@extend_schema_view(
    post=extend_schema(
        summary="作废",
        examples=[shown({"comments": ""})],
        request=s.CommentSerializer,
        responses=s.BillDetailSerializer,
    )
)
class Void(Command):
    def run(self, number: str, principal: Principal, asked: dict[str, Any]) -> None:
        issuing.void(number=number, principal=principal, **asked)


@extend_schema_view(
    post=extend_schema(
        summary="并单",
        examples=[shown({"numbers": ["NLSC26000000001", "NLSC26000000002"]})],
        request=s.CombineSerializer,
        responses={201: s.BillDetailSerializer},
    )
)
class Combine(View):
    """Several bills of one holder over one journey into one."""

    scopes = {"POST": "bills:write"}
    idempotent = True

    def post(self, request: Request) -> Response:
        bill = division.combine(principal=caller(request), **wanted(s.CombineSerializer, request))
        return detail(request, bill.number, 201)


@extend_schema_view(
    get=extend_schema(summary="转往其他平台的信封", responses=s.DepartureSerializer(many=True)),
    post=extend_schema(
        summary="转让给其他平台的受让人",
        examples=[
            shown(
                {
                    "platform": "WAVE",
                    "name": "Buyer Ltd",
                    "codes": [
                        {"codeListProvider": "GLEIF", "codeListName": "LEI", "partyCode": "529900T8BM49AURSDO55"}
                    ],
                }
            )
        ],
        request=s.LeaveSerializer,
        responses={202: s.DepartureSerializer},
    ),
)
class Departures(View):
    """Transfer to a party of another eBL platform (DCSA PINT); asked again until that platform's signed answer comes."""

    scopes = {"GET": "bills:read", "POST": "bills:write"}
    idempotent = True

    def get(self, request: Request, number: str) -> Response:
        bill, principal = visible(request, number), caller(request)
        # Who sent it on is told whether it came there; an envelope's row names no party and no goods.
        took_part = Act.objects.filter(bill=bill, actor_id=principal.organisation_id or 0)
        if not sight.in_hand(bill, principal) and not took_part.exists():
            raise not_found()
        return self.paged(request, bill.departures.all(), s.DepartureSerializer)

    def post(self, request: Request, number: str) -> Response:
        made = departing.leave(number=number, principal=caller(request), **wanted(s.LeaveSerializer, request))
        return Response(s.DepartureSerializer(made).data, status=202)


def whole(request: Request, number: str) -> Bill:
    """The bill, for those it is in the hands of: issuer, holder, pledgee, authorities. 404 for all others."""
    bill = visible(request, number)
    if not sight.in_hand(bill, caller(request)):
        raise not_found()
    return bill


def concerned(request: Request, number: str) -> Bill:
    """The bill, for those and for whom its version in force names. 404 for who had to do with it before."""
    bill = visible(request, number)
    if sight.of(bill, caller(request))[0] == Sight.PAST:
        raise not_found()
    return bill


@extend_schema_view(get=extend_schema(summary="随附文件", responses=s.BillDocumentSerializer(many=True)))
class Documents(View):
    """Documents that came with the bill from another platform, the carrier's visualisation among them."""

    scopes = {"GET": "bills:read"}

    def get(self, request: Request, number: str) -> Response:
        return self.paged(request, whole(request, number).documents.all(), s.BillDocumentSerializer, ordering=("id",))


@extend_schema_view(get=extend_schema(summary="下载随附文件", responses={(200, "*/*"): OpenApiTypes.BINARY}))
class Document(View):
    scopes = {"GET": "bills:read"}

    def get(self, request: Request, number: str, checksum: str) -> HttpResponse:
        found = whole(request, number).documents.filter(checksum=checksum).first()
        if found is None:
            raise not_found()
        # Written by others: to keep, never to run in a page of ours.
        made = HttpResponse(bytes(found.content), content_type="application/octet-stream")
        made["Content-Disposition"] = f'attachment; filename="{found.checksum[:16]}"'
        return made


@extend_schema_view(get=extend_schema(summary="导出可离线核验的文件", responses=OpenApiTypes.OBJECT))
class Export(View):
    """One file that proves the bill and its chain offline: ``python -m bills.verify FILE``."""

    scopes = {"GET": "bills:read"}

    def get(self, request: Request, number: str) -> Response:
        bill = whole(request, number)
        made = Response(exporting.export(bill))
        made["Content-Disposition"] = f'attachment; filename="{bill.number}.json"'
        return made


@extend_schema_view(get=extend_schema(summary="FIATA eFBL", responses=OpenApiTypes.OBJECT))
class Efbl(View):
    scopes = {"GET": "bills:read"}

    def get(self, request: Request, number: str) -> Response:
        bill = concerned(request, number)
        content = bill.draft or (bill.versions.get(number=bill.version).content if bill.version else {})
        if not content:
            raise not_found()
        first = Act.objects.filter(bill=bill, sequence=1).first()
        return Response(
            efbl.to_efbl(
                content, number_=bill.number, status=bill.state, issued_at=bill.issued_at,
                signature=first.checksum if first else "",
            )
        )  # fmt: skip


@extend_schema_view(
    get=extend_schema(
        summary="PDF（中文/英文，带核验二维码）",
        parameters=[OpenApiParameter("lang", str, enum=["zh", "en"])],
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
    )
)
class Pdf(View):
    """A print for people. It is no original: it says so, and the QR code leads to the state of the bill now."""

    scopes = {"GET": "bills:read"}

    def get(self, request: Request, number: str) -> HttpResponse:
        bill = concerned(request, number)
        language = "en" if request.query_params.get("lang") == "en" else "zh"
        from bills import pdf  # its library takes half a second and 30 MB: only who prints loads it

        made = HttpResponse(pdf.render(bill, language), content_type="application/pdf")
        made["Content-Disposition"] = f'inline; filename="{bill.number}-v{bill.version}-{language}.pdf"'
        return made


@extend_schema_view(
    post=extend_schema(
        summary="在线核验导出文件",
        examples=[shown({"format": "one-bill/1", "bill": "NLSC26000000001"})],
        request=OpenApiTypes.OBJECT,
        responses=OpenApiTypes.OBJECT,
    )
)
class Verify(View):
    """The offline verifier, online: the same code, plus whether the register's state has moved on since."""

    public = True

    def post(self, request: Request) -> Response:
        try:
            report = verify.verify(request.data)
        except verify.Fails as error:
            return Response({"ok": False, "code": error.code, "detail": T(error.zh, error.en)})
        bill = Bill.objects.filter(number=report.bill, checksum=report.checksum).first()
        trusted = bill is not None and exporting.keys.platform_key().kid == report.platform_key
        return Response(
            {
                "ok": True, "bill": report.bill, "version": report.version, "state": report.state, "acts": report.acts,
                "checksum": report.checksum, "attested_at": report.attested_at, "platform_key": report.platform_key,
                "platform_key_is_ours": trusted,
                "up_to_date": bool(trusted and bill is not None and bill.acts == report.acts),
            }
        )  # fmt: skip


@extend_schema_view(get=extend_schema(summary="公开核验：提单状态与版本", responses=OpenApiTypes.OBJECT))
class PublicState(View):
    """State and version for whoever has number and checksum in hand; no parties, no goods."""

    public = True

    def get(self, request: Request, number: str, checksum: str) -> Response:
        found = exporting.public_state(number, checksum)
        if found is None:
            raise not_found()
        return Response(found)
