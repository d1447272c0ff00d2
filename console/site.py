"""The operators' console: Django's admin, in Chinese and English."""

from django.contrib import admin

from common.text import T


class ConsoleSite(admin.AdminSite):
    site_header = T("西部陆海新通道单一窗口", "Land-Sea Corridor Single Window")
    site_title = T("单一窗口", "Single Window")
    index_title = T("工作台", "Workbench")
    site_url = None
