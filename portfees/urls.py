from django.urls import URLPattern, path

from portfees.api import catalogues, invoices, quotations

urlpatterns: list[URLPattern] = [
    path("port-fees/catalogues", catalogues.Catalogues.as_view()),
    path("port-fees/catalogues/<str:number>", catalogues.Catalogue.as_view()),
    path("port-fees/catalogues/<str:number>/sheet.<str:kind>", catalogues.CatalogueSheet.as_view()),
    path("port-fees/catalogues/<str:number>/difference/<str:other>", catalogues.CatalogueDifference.as_view()),
    path("port-fees/lists", catalogues.OwnLists.as_view()),
    path("port-fees/lists/<str:number>", catalogues.OwnList.as_view()),
    path("port-fees/lists/<str:number>/<str:command>", catalogues.OwnListCommand.as_view()),
    path("port-fees/quotations", quotations.Quotations.as_view()),
    path("port-fees/free-time", quotations.FreeTime.as_view()),
    path("port-fees/invoices", invoices.Invoices.as_view()),
    path("port-fees/invoices/<int:pk>", invoices.OneInvoice.as_view()),
    path("port-fees/invoices/<int:pk>/cancel", invoices.CancelInvoice.as_view()),
    path("port-fees/invoices/<int:pk>/complaints", invoices.InvoiceComplaints.as_view()),
    path("port-fees/complaints", invoices.Complaints.as_view()),
    path("port-fees/complaints/<str:number>", invoices.OneComplaint.as_view()),
    path("port-fees/complaints/<str:number>/<str:command>", invoices.ComplaintCommand.as_view()),
]
