"""The sidebar: sections by duty, each with the console's own pages and the registered models that belong to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from common.admin import has_duty
from common.text import T


@dataclass(frozen=True, slots=True)
class Section:
    key: str
    title: Any
    icon: str
    #: The page the section opens; without one, its first entry.
    page: str = ""
    #: Further pages of the console: (URL name, title), and the duties that see it where they are not the section's.
    pages: tuple[tuple[Any, ...], ...] = ()
    #: App labels, or ``app.model``, whose registered models are listed here.
    models: tuple[str, ...] = ()
    #: Of these, those that a page of the console leads to.
    beneath: tuple[str, ...] = ()
    #: Addresses of pages that belong here beside those listed.
    paths: tuple[str, ...] = ()
    #: Who sees the console's pages of this section (none named: every officer). Models say so themselves.
    duties: tuple[str, ...] = field(default=())


SECTIONS = (
    Section(
        "workbench",
        T("工作台", "Workbench"),
        "home",
        page="index",
        pages=(("times", T("通关时间", "Clearance times")),),
        models=("clearance.timelimit",),
    ),
    Section(
        "declarations",
        T("报关单", "Declarations"),
        "file",
        page="queue",
        models=("declarations",),
        paths=("/console/declarations/",),
    ),
    Section(
        "inspection",
        T("查验", "Inspection"),
        "calendar",
        page="inspections",
        models=tuple(f"clearance.{name}" for name in ("inspectionorder", "appointment", "evidence", "penaltycase")),
    ),
    Section(
        "risk",
        T("风险", "Risk"),
        "chart",
        page="risk",
        models=("clearance.selection", "clearance.creditstanding"),
        duties=("risk",),
    ),
    Section("clearance", T("通关", "Clearance"), "check", models=("clearance",)),
    Section("duties", T("税费", "Duties and taxes"), "coins", models=("tariffs",)),
    Section(
        "manifests",
        T("舱单", "Manifests"),
        "ship",
        pages=(("manifest_changes", T("舱单变更审核", "Changes that wait"), "examination"),),
        models=("cargo",),
        paths=("/console/manifests/",),
    ),
    Section(
        "portfees",
        T("收费目录", "Port fees"),
        "list",
        page="complaints",
        pages=(
            ("complaints", T("收费投诉", "Complaints")),
            ("fee_lists", T("本单位清单", "Our lists")),
            ("fee_figures", T("参数与上限", "Parameters and ceilings")),
        ),
        models=("portfees.feelist", "portfees.invoice"),
        paths=("/console/port-fees/",),
    ),
    Section("bills", T("一单制", "One bill"), "layers", models=("bills",), paths=("/console/bills/",)),
    Section(
        "exchange",
        T("数据交换", "Data exchange"),
        "swap",
        pages=(
            ("agreements", T("共享协议", "Agreements"), "exchange"),
            ("transits", T("跨省转关", "Transits"), "release"),
        ),
        models=("exchange",),
        beneath=("exchange.agreement",),
        paths=("/console/exchange/",),
    ),
    Section(
        "parties",
        T("单位与权限", "Parties and rights"),
        "people",
        models=("parties", "auth", "oauth2_provider"),
        paths=("/console/organisations/", "/console/clients/"),
    ),
    Section("reference", T("参考数据", "Reference data"), "book", models=("refdata",)),
    Section("audit", T("审计", "Audit"), "shield", page="audit", models=("events", "common"), duties=("supervision",)),
)


def sections(site: AdminSite, request: HttpRequest) -> list[dict[str, Any]]:
    """What this person may open, with the place they are at marked."""
    models: dict[str, list[tuple[str, str]]] = {}
    for app in site.get_app_list(request):
        for model in app["models"]:
            if model.get("admin_url"):
                label = f"{app['app_label']}.{model['object_name'].lower()}"
                models[label] = [(model["name"], model["admin_url"])]
    found = []
    for section in SECTIONS:
        entries: list[tuple[Any, str]] = []
        home = ""
        if has_duty(request, section.duties):
            home = _url(section.page) if section.page else ""
            entries += [
                (title, url)
                for name, title, *duties in section.pages
                if (not duties or has_duty(request, tuple(duties))) and (url := _url(name))
            ]
        for label in section.beneath:
            models.pop(label, None)
        for wanted in section.models:
            for label in sorted(models):
                if label == wanted or label.split(".")[0] == wanted:
                    entries += models.pop(label)
        if not home and not entries:
            continue
        home = home or entries[0][1]
        found.append(
            {
                "key": section.key,
                "title": section.title,
                "icon": section.icon,
                "url": home,
                "paths": section.paths,
                "entries": [
                    {"title": title, "url": url, "here": request.path.startswith(url)} for title, url in entries
                ],
            }
        )
    _mark(found, request.path)
    return found


def _mark(found: list[dict[str, Any]], path: str) -> None:
    """The section with the longest matching address is the one the person is in."""
    best: tuple[int, dict[str, Any] | None] = (0, None)
    for section in found:
        for url in (section["url"], *section["paths"], *(entry["url"] for entry in section["entries"])):
            exact = url == _url("index")
            if (path == url or (not exact and path.startswith(url))) and len(url) > best[0]:
                best = (len(url), section)
    for section in found:
        section["here"] = section is best[1]


def _url(name: str) -> str:
    try:
        return reverse(f"admin:{name}")
    except NoReverseMatch:
        return ""
