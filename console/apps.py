from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ConsoleAdminConfig(admin_apps.AdminConfig):
    default_site = "console.site.ConsoleSite"


class ConsoleConfig(AppConfig):
    name = "console"
