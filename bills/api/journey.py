"""Leg events, papers under the bill, delivery; keys."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from bills import journey, keys
from bills.api import serializers as s
from bills.api.bills import concerned, shown, wanted, whole
from bills.models import DeliveryOrder, SigningKey
from common.api import View
from common.problems import not_found
from parties.principals import caller


@extend_schema_view(
    get=extend_schema(summary="区段事件", responses=s.LegEventSerializer(many=True)),
    post=extend_schema(
        summary="报送区段事件",
        examples=[shown({"leg": 2, "kind": "departed", "occurred_at": "2026-12-07T20:10:00+08:00", "place": "CNQZH"})],
        request=s.LegEventSerializer,
        responses={201: s.LegEventSerializer},
    ),
)
class LegEvents(View):
    """Loaded, departed, arrived, transferred, inspected, delayed, damaged, delivered: from the leg's carrier."""

    scopes = {"GET": "bills:read", "POST": "bills:write"}
    idempotent = True

    def get(self, request: Request, number: str) -> Response:
        return self.paged(
            request, concerned(request, number).leg_events.all(), s.LegEventSerializer, ordering=("occurred_at", "id")
        )

    def post(self, request: Request, number: str) -> Response:
        made = journey.report(number=number, principal=caller(request), **wanted(s.LegEventSerializer, request))
        return Response(s.LegEventSerializer(made).data, status=201)


@extend_schema_view(
    post=extend_schema(
        summary="关联报关单、舱单、港口单证",
        examples=[shown({"kind": "import_declaration", "number": "800120261000000001"})],
        request=s.PaperSerializer,
        responses={201: s.PaperSerializer},
    )
)
class Papers(View):
    """A declaration, manifest or port paper that stands under the bill."""

    scopes = {"POST": "bills:write"}
    idempotent = True

    def post(self, request: Request, number: str) -> Response:
        asked = wanted(s.PaperSerializer, request)
        made = journey.link(number=number, principal=caller(request), kind=asked["kind"], paper=asked["number"])
        return Response(s.PaperSerializer(made).data, status=201)


@extend_schema_view(delete=extend_schema(summary="解除单证关联", responses={204: None}))
class PaperLink(View):
    """Take a paper from under the bill: one linked in error, or a declaration that was withdrawn or rejected."""

    scopes = {"DELETE": "bills:write"}

    def delete(self, request: Request, number: str, kind: str, paper: str) -> Response:
        journey.unlink(number=number, principal=caller(request), kind=kind, paper=paper)
        return Response(status=204)


@extend_schema_view(
    get=extend_schema(summary="提货单", responses=s.DeliveryOrderSerializer),
    post=extend_schema(summary="签发提货单", request=None, responses={201: s.DeliveryOrderSerializer}),
)
class DeliveryOrders(View):
    """Bound to the accepted surrender and to the release of every import declaration under the bill."""

    scopes = {"GET": "bills:read", "POST": "bills:write"}
    idempotent = True

    def get(self, request: Request, number: str) -> Response:
        order = DeliveryOrder.objects.filter(bill=whole(request, number)).first()
        if order is None:
            raise not_found()
        return Response(s.DeliveryOrderSerializer(order).data)

    def post(self, request: Request, number: str) -> Response:
        order = journey.order_delivery(number=number, principal=caller(request))
        return Response(s.DeliveryOrderSerializer(order).data, status=201)


@extend_schema_view(
    post=extend_schema(
        summary="交付货物",
        examples=[shown({"order": "DONLSC26000000001", "to": 7})],
        request=s.DeliverSerializer,
        responses=s.ActSerializer,
    )
)
class Deliver(View):
    """Hand over against the delivery order, to the last holder and no one else."""

    scopes = {"POST": "bills:write"}
    idempotent = True

    def post(self, request: Request, number: str) -> Response:
        made = journey.deliver(number=number, principal=caller(request), **wanted(s.DeliverSerializer, request))
        return Response(s.ActSerializer(made).data)


@extend_schema_view(
    get=extend_schema(summary="本单位签名密钥", responses=s.KeySerializer(many=True)),
    post=extend_schema(
        summary="登记签名密钥",
        examples=[shown({"jwk": {"kty": "EC", "crv": "P-256", "x": "…", "y": "…"}, "replace": True})],
        request=s.RegisterKeySerializer,
        responses={201: s.KeySerializer},
    ),
)
class Keys(View):
    """The keys that sign for the caller's organisation."""

    scopes = {"GET": "bills:read", "POST": "bills:write"}
    idempotent = True

    def get(self, request: Request) -> Response:
        own = SigningKey.objects.filter(organisation_id=caller(request).organisation_id or 0)
        return self.paged(request, own, s.KeySerializer, ordering=("-valid_from", "-id"))

    def post(self, request: Request) -> Response:
        made = keys.register_key(principal=caller(request), **wanted(s.RegisterKeySerializer, request))
        return Response(s.KeySerializer(made).data, status=201)


@extend_schema_view(
    post=extend_schema(
        summary="停用密钥",
        examples=[shown({"reason": "lost"})],
        request=s.RevokeKeySerializer,
        responses=s.KeySerializer,
    )
)
class RevokeKey(View):
    scopes = {"POST": "bills:write"}
    idempotent = True

    def post(self, request: Request, kid: str) -> Response:
        made = keys.revoke_key(principal=caller(request), kid=kid, **wanted(s.RevokeKeySerializer, request))
        return Response(s.KeySerializer(made).data)


@extend_schema_view(get=extend_schema(summary="本平台公布的公钥（JWKS）", responses=OpenApiTypes.OBJECT))
class Jwks(View):
    """The platform's public keys and those of the organisations that issue bills here."""

    public = True

    def get(self, request: Request) -> Response:
        return Response(keys.jwks())
