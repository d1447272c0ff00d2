from django.urls import URLPattern, path

from bills.api import bills, journey, pint

urlpatterns: list[URLPattern] = [
    path("bills", bills.Bills.as_view()),
    path("bills/combine", bills.Combine.as_view()),
    path("bills/from-efbl", bills.FromEfbl.as_view()),
    path("bills/jwks", journey.Jwks.as_view()),
    path("bills/keys", journey.Keys.as_view()),
    path("bills/keys/<str:kid>/revoke", journey.RevokeKey.as_view()),
    path("bills/verify", bills.Verify.as_view()),
    path("bills/verify/<str:number>/<str:checksum>", bills.PublicState.as_view()),
    path("bills/<str:number>", bills.BillDetail.as_view()),
    path("bills/<str:number>/acts", bills.Acts.as_view()),
    path("bills/<str:number>/acts/to-sign", bills.ToSign.as_view()),
    path("bills/<str:number>/amend", bills.Amend.as_view()),
    path("bills/<str:number>/split", bills.Split.as_view()),
    path("bills/<str:number>/to-paper", bills.ToPaper.as_view()),
    path("bills/<str:number>/from-paper", bills.FromPaper.as_view()),
    path("bills/<str:number>/void", bills.Void.as_view()),
    path("bills/<str:number>/departures", bills.Departures.as_view()),
    path("bills/<str:number>/export", bills.Export.as_view()),
    path("bills/<str:number>/efbl", bills.Efbl.as_view()),
    path("bills/<str:number>/pdf", bills.Pdf.as_view()),
    path("bills/<str:number>/leg-events", journey.LegEvents.as_view()),
    path("bills/<str:number>/papers", journey.Papers.as_view()),
    path("bills/<str:number>/delivery-order", journey.DeliveryOrders.as_view()),
    path("bills/<str:number>/deliver", journey.Deliver.as_view()),
    path("pint/v3/envelopes", pint.Envelopes.as_view()),
    path("pint/v3/envelopes/<str:reference>/additional-documents/<str:checksum>", pint.AdditionalDocument.as_view()),
    path("pint/v3/envelopes/<str:reference>/finish-transfer", pint.FinishTransfer.as_view()),
    path("pint/v3/receiver-validation", pint.ReceiverValidation.as_view()),
]
