"""As the documentation of Django REST framework shows writable nested serializers."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.urls import path
from rest_framework import generics, serializers

from declarations.models import Declaration, GoodsItem


class ItemSerializer(serializers.ModelSerializer):
    class Meta:
        model = GoodsItem
        exclude = ["id", "declaration"]


class DeclarationSerializer(serializers.ModelSerializer):
    goodsitem_set = ItemSerializer(many=True)

    class Meta:
        model = Declaration
        fields = "__all__"

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> Declaration:
        items = validated_data.pop("goodsitem_set")
        declaration = Declaration.objects.create(**validated_data)
        for item in items:
            GoodsItem.objects.create(declaration=declaration, **item)
        return declaration


class Declarations(generics.ListCreateAPIView):
    queryset = Declaration.objects.all()
    serializer_class = DeclarationSerializer


class DeclarationDetail(generics.RetrieveAPIView):
    queryset = Declaration.objects.prefetch_related("goodsitem_set")
    serializer_class = DeclarationSerializer
    lookup_field = "unified_number"


urlpatterns = [
    path("readyz", lambda request: HttpResponse("ok")),
    path("declarations", Declarations.as_view()),
    path("declarations/<str:unified_number>", DeclarationDetail.as_view()),
]
