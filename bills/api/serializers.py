from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from bills import journey, sight
from bills.models import (
    Act,
    Bill,
    DeliveryOrder,
    Departure,
    LegEvent,
    Paper,
    SigningKey,
    SupportingDocument,
)
from bills.recording import PLAIN
from bills.sight import Sight


def identifier(**more: Any) -> serializers.IntegerField:
    """The register's number of an organisation."""
    return serializers.IntegerField(min_value=1, max_value=2**63 - 1, **more)


class PartyRef(serializers.Serializer):
    id = serializers.IntegerField(allow_null=True)
    name = serializers.CharField()


class BillSerializer(serializers.ModelSerializer):
    """``principal`` in the context is who reads; in whose hands and pledge a bill is, its parties in title see."""

    holder = serializers.SerializerMethodField()
    pledgee = serializers.SerializerMethodField()
    issuer = serializers.SerializerMethodField()

    class Meta:
        model = Bill
        fields = [
            "number", "kind", "negotiability", "state", "version", "checksum", "acts", "head", "issuer", "holder",
            "pledgee", "issued_at", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(PartyRef(allow_null=True))
    def get_holder(self, bill: Bill) -> dict[str, Any] | None:
        if not sight.in_hand(bill, self.context["principal"]):
            return None
        if bill.holder:
            return {"id": bill.holder_id, "name": bill.holder.name}
        return {"id": None, "name": bill.holder_name} if bill.holder_name else None

    @extend_schema_field(PartyRef(allow_null=True))
    def get_pledgee(self, bill: Bill) -> dict[str, Any] | None:
        if not sight.in_hand(bill, self.context["principal"]) or bill.pledgee is None:
            return None
        return {"id": bill.pledgee_id, "name": bill.pledgee.name}

    @extend_schema_field(PartyRef(allow_null=True))
    def get_issuer(self, bill: Bill) -> dict[str, Any] | None:
        return {"id": bill.issuer_id, "name": bill.issuer.name} if bill.issuer else None


class BillDetailSerializer(BillSerializer):
    """``sight`` in the context is how much of the bill its reader sees, and which version."""

    content = serializers.SerializerMethodField()
    #: The version the content is of: for who is out of it, the last one it had to do with.
    content_version = serializers.SerializerMethodField()
    whereabouts = serializers.SerializerMethodField()
    legs = serializers.SerializerMethodField()
    damages = serializers.SerializerMethodField()
    papers = serializers.SerializerMethodField()
    replaces = serializers.SerializerMethodField()
    replaced_by = serializers.SerializerMethodField()

    class Meta(BillSerializer.Meta):
        fields = [
            *BillSerializer.Meta.fields, "content", "content_version", "whereabouts", "legs", "damages", "papers",
            "replaces", "replaced_by",
        ]  # fmt: skip
        read_only_fields = fields

    def _travels(self) -> bool:
        return bool(self.context["sight"][0] != Sight.PAST)

    def get_content(self, bill: Bill) -> dict[str, Any]:
        if bill.draft:
            return dict(bill.draft)
        _, version = self.context["sight"]
        return version.content if version else {}

    def get_content_version(self, bill: Bill) -> int | None:
        _, version = self.context["sight"]
        return version.number if version else None

    def get_whereabouts(self, bill: Bill) -> dict[str, Any] | None:
        return journey.whereabouts(bill) if self._travels() else None

    def get_legs(self, bill: Bill) -> list[dict[str, Any]]:
        if not self._travels():
            return []
        return list(
            bill.legs.values(  # type: ignore[arg-type]
                "sequence", "mode", "origin", "destination", "carrier_name", "means", "voyage", "planned_departure",
                "planned_arrival", "actual_departure", "actual_arrival",
            )
        )  # fmt: skip

    def get_damages(self, bill: Bill) -> list[dict[str, Any]]:
        return journey.damages(bill) if self._travels() else []

    def get_papers(self, bill: Bill) -> list[dict[str, Any]]:
        if not self._travels():
            return []
        return list(bill.papers.order_by("id").values("kind", "number", "released_at"))  # type: ignore[arg-type]

    def get_replaces(self, bill: Bill) -> list[str]:
        return list(bill.replaces.values_list("old__number", flat=True))

    def get_replaced_by(self, bill: Bill) -> list[str]:
        return list(bill.replaced_by.values_list("new__number", flat=True))


class ActSerializer(serializers.ModelSerializer):
    actor = serializers.SerializerMethodField()
    recipient = serializers.SerializerMethodField()

    class Meta:
        model = Act
        fields = ["sequence", "code", "version", "actor", "recipient", "acted_at", "recorded_at", "checksum", "token"]
        read_only_fields = fields

    @extend_schema_field(PartyRef(allow_null=True))
    def get_actor(self, act: Act) -> dict[str, Any] | None:
        return {"id": act.actor_id, "name": act.actor.name} if act.actor else None

    @extend_schema_field(PartyRef(allow_null=True))
    def get_recipient(self, act: Act) -> dict[str, Any] | None:
        return {"id": act.recipient_id, "name": act.recipient.name} if act.recipient else None


class Signed(serializers.Serializer):
    """What an organisation signed itself goes with the command; without it the register signs with the key it keeps."""

    signed = serializers.CharField(
        max_length=20000,
        required=False,
        help_text="本单位签名的 JWS（不由平台代签时）/ the act signed by the organisation itself",
    )


class SignedIssue(Signed):
    issuance_manifest = serializers.CharField(max_length=20000, required=False)


class PlainActSerializer(serializers.Serializer):
    act = serializers.ChoiceField(choices=[*sorted(PLAIN), "ISSUE"])
    recipient = identifier(required=False, help_text="受让单位 / organisation that receives")
    reason = serializers.RegexField(r"^[A-Z]{0,4}$", required=False, allow_blank=True)
    comments = serializers.CharField(max_length=255, required=False, allow_blank=True)


class DoActSerializer(PlainActSerializer, SignedIssue):
    pass


class ToSignSerializer(DoActSerializer):
    """``act`` and what its command takes besides; ``platform``, ``name``, ``codes`` as for departures."""

    act = serializers.ChoiceField(
        choices=[*sorted(PLAIN), "ISSUE", "AMEND", "TO_PAPER", "FROM_PAPER", "VOID", "DELIVER"]
    )


class AmendSerializer(SignedIssue):
    content = serializers.JSONField()
    comments = serializers.CharField(max_length=255, required=False, allow_blank=True)


class SplitSerializer(serializers.Serializer):
    parts = serializers.ListField(child=serializers.JSONField(), min_length=2, max_length=50)
    comments = serializers.CharField(max_length=255, required=False, allow_blank=True)


class CombineSerializer(serializers.Serializer):
    numbers = serializers.ListField(child=serializers.CharField(max_length=20), min_length=2, max_length=50)
    comments = serializers.CharField(max_length=255, required=False, allow_blank=True)


class FromPaperSerializer(SignedIssue):
    returned = serializers.IntegerField(min_value=0, max_value=100, help_text="收回的正本份数 / originals returned")
    presenter = identifier(help_text="交回正本的单位 / who presented them")


class CommentSerializer(Signed):
    comments = serializers.CharField(max_length=255, required=False, allow_blank=True)


class LeaveSerializer(Signed):
    act = serializers.ChoiceField(
        choices=["TRANSFER", "ENDORSE", "ENDORSE_TO_ORDER"],
        required=False,
        help_text="背书只通知对方平台，提单不移交 / an endorsement is only told, the bill stays here",
    )
    platform = serializers.CharField(max_length=4)
    name = serializers.CharField(max_length=70)
    codes = serializers.ListField(
        child=serializers.DictField(child=serializers.CharField(max_length=150)), min_length=1, max_length=10
    )
    comments = serializers.CharField(max_length=255, required=False, allow_blank=True)


class DepartureSerializer(serializers.ModelSerializer):
    class Meta:
        model = Departure
        fields = [
            "platform",
            "purpose",
            "state",
            "last",
            "reference",
            "attempts",
            "next_attempt_at",
            "last_error",
            "answer_code",
            "answer",
            "created_at",
        ]
        read_only_fields = fields


class BillDocumentSerializer(serializers.ModelSerializer):
    class Meta:
        model = SupportingDocument
        fields = ["checksum", "name", "media_type", "size"]
        read_only_fields = fields


class LegEventSerializer(serializers.ModelSerializer):
    kind = serializers.ChoiceField(choices=LegEvent.Kind.choices)
    leg = serializers.IntegerField(min_value=1, max_value=30, required=False, allow_null=True)
    occurred_at = serializers.DateTimeField()

    class Meta:
        model = LegEvent
        fields = ["leg", "kind", "occurred_at", "recorded_at", "place", "container", "remark"]
        read_only_fields = ["recorded_at"]


class PaperSerializer(serializers.ModelSerializer):
    class Meta:
        model = Paper
        fields = ["kind", "number", "released_at"]
        read_only_fields = ["released_at"]


class DeliveryOrderSerializer(serializers.ModelSerializer):
    class Meta:
        model = DeliveryOrder
        fields = ["number", "to", "issued_at", "used_at"]
        read_only_fields = fields


class DeliverSerializer(Signed):
    order = serializers.CharField(max_length=24)
    to = identifier(
        required=False, help_text="提货人；持有人在其他平台时不填 / left out where the holder is on another platform"
    )
    comments = serializers.CharField(max_length=255, required=False, allow_blank=True)


class KeySerializer(serializers.ModelSerializer):
    kept_here = serializers.SerializerMethodField()

    class Meta:
        model = SigningKey
        fields = ["kid", "jwk", "valid_from", "revoked_at", "reason", "kept_here"]
        read_only_fields = fields

    def get_kept_here(self, row: SigningKey) -> bool:
        return row.private is not None


class RegisterKeySerializer(serializers.Serializer):
    jwk = serializers.JSONField(
        required=False,
        help_text="公钥；不填则由平台生成并保管 / public key; without it the register makes and keeps one",
    )
    replace = serializers.BooleanField(required=False, help_text="停用原有密钥 / retire the keys there were")


class RevokeKeySerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True)
