"""The one settings file. Every value a deployment may change is an environment variable (``X_FILE`` reads a secret from
a file); what is missing or odd fails at start."""

from datetime import time
from pathlib import Path
from urllib.parse import quote, unquote

import structlog
from django.core.exceptions import ImproperlyConfigured
from environ import FileAwareEnv

from singlewindow.services import postgres_url, redis_url

env = FileAwareEnv()

BASE_DIR = Path(__file__).resolve().parent.parent

#: Where uploads and exports are kept.
VAR_DIR = Path(env("VAR_DIR", default=str(BASE_DIR / "var")))

PRODUCTION = env.bool("PRODUCTION", default=False)
DEBUG = False
#: In production there is no default: the process does not start without it.
SECRET_KEY = env("SECRET_KEY") if PRODUCTION else env("SECRET_KEY", default="development-only-" + "x" * 40)
#: Earlier keys: what they signed or sealed is still read.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if PRODUCTION else ["*"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
#: The address the outside world knows this instance by (links, QR codes, exchange).
PUBLIC_URL = env("PUBLIC_URL", default="http://127.0.0.1:8000")
#: GB/T 2260 code of the province whose instance this is (refdata list "corridor_province"): no partner has the same.
PROVINCE = env("PROVINCE", default="500000")
if not (len(PROVINCE) == 6 and PROVINCE.isascii() and PROVINCE.isdigit()):
    raise ImproperlyConfigured(f"PROVINCE is the six digits of a GB/T 2260 code, not {PROVINCE!r}")
#: Our code as an eBL platform, at most 4 characters (DCSA assigns them; this one is our own choice until it does).
EBL_PLATFORM = env("EBL_PLATFORM", default="NLSC")
#: What private keys kept for organisations are sealed with. Losing it loses them.
KEY_SECRET = env("KEY_SECRET", default="") or SECRET_KEY
#: A font file with Chinese glyphs for PDF documents; unset, the usual places are looked through.
PDF_FONT = env("PDF_FONT", default="")

#: Networks the exchange may connect to although they are private (test hosts). Empty in production: deliveries to
#: loopback, private, link-local and metadata addresses are refused at connect time.
EXCHANGE_ALLOW_NETWORKS = env.list("EXCHANGE_ALLOW_NETWORKS", default=[])
#: Seconds added to the clock that is signed and checked. For fault tests.
EXCHANGE_CLOCK_SHIFT = env.float("EXCHANGE_CLOCK_SHIFT", default=0.0)
#: Delivery processes at most: endpoints are spread over this many shards, each worked off by one process at a time.
EXCHANGE_SHARDS = env.int("EXCHANGE_SHARDS", default=1)
#: When every night partners are compared with, legal time (Asia/Shanghai).
EXCHANGE_COMPARE_AT = time.fromisoformat(env("EXCHANGE_COMPARE_AT", default="02:30"))
#: Seconds after which they are compared with besides; 0: at night only.
EXCHANGE_COMPARE_EVERY = env.float("EXCHANGE_COMPARE_EVERY", default=0.0)
#: Days that settled deliveries and their attempts are kept. What is not delivered is kept until it is.
EXCHANGE_KEEP_DAYS = env.int("EXCHANGE_KEEP_DAYS", default=90)
#: Days that partners' messages are kept as they came. Their events stay; those in quarantine wait however long.
EXCHANGE_KEEP_RAW_DAYS = env.int("EXCHANGE_KEEP_RAW_DAYS", default=365)
#: Seconds before the 2nd, 3rd, … try of a delivery, each ± 10 %: about three days (Standard Webhooks).
EXCHANGE_SCHEDULE = [
    float(seconds)
    for seconds in env.list(
        "EXCHANGE_SCHEDULE", default=[5, 30, 300, 1800, 7200, 18_000, 36_000, 50_400, 64_800, 79_200]
    )
]
#: Longest time a failing endpoint is spared between tries (seconds).
EXCHANGE_SPARE_MOST = env.float("EXCHANGE_SPARE_MOST", default=900.0)

#: Whether a declaration waits for its manifest; off where carriers do not lodge theirs with this instance.
MANIFEST_REQUIRED = env.bool("MANIFEST_REQUIRED", default=False)

INSTALLED_APPS = [
    "console.apps.ConsoleConfig",  # before the admin, whose templates it replaces
    "console.apps.ConsoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "oauth2_provider",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_structlog",
    "pgtrigger",
    "common",
    "events",
    "refdata",
    "parties",
    "tariffs",
    "portfees",
    "cargo",
    "declarations",
    "bills",
    "clearance",
    "exchange",
    "singlewindow.apps.SingleWindowConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "common.middleware.RequestContext",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "console.middleware.ConsoleLanguage",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "singlewindow.urls"
WSGI_APPLICATION = "singlewindow.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["common.templatetags.text"],
        },
    }
]


def _url_of(kind: str, user: str, path: str) -> str:
    """A URL put together from ``KIND_HOST`` and ``KIND_PASSWORD``, so that a secret can stay in a file of its own."""
    host = env(f"{kind}_HOST", default="")
    return f"{kind.lower()}://{user}:{quote(env(f'{kind}_PASSWORD').strip(), safe='')}@{host}/{path}" if host else ""


_database = env.db_url_config(
    env("DATABASE_URL", default="") or _url_of("POSTGRES", "singlewindow", "singlewindow") or postgres_url()
)
DATABASES = {
    "default": _database
    | {
        "HOST": unquote(_database["HOST"]),  # a directory of unix sockets is written %2Fthis%2Fway
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": env.int("CONN_MAX_AGE", default=600),
        "CONN_HEALTH_CHECKS": True,
        # Behind PgBouncer in transaction mode a cursor does not outlive its transaction.
        "DISABLE_SERVER_SIDE_CURSORS": env.bool("PGBOUNCER", default=False),
        "OPTIONS": {"connect_timeout": 5, "application_name": "singlewindow"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env("REDIS_URL", default="") or _url_of("REDIS", "", "0") or redis_url()
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": "cache"}
}

CELERY_BROKER_URL = env("CELERY_BROKER_URL", default="") or (
    REDIS_URL.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
    if REDIS_URL.startswith("unix://")
    else REDIS_URL
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 900, "socket_timeout": 10, "socket_connect_timeout": 2}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_SOFT_TIME_LIMIT = 540
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 250_000  # kB
CELERY_DB_REUSE_MAX = 1_000_000_000  # connections are looked after in singlewindow/celery.py
CELERY_TASK_DEFAULT_QUEUE = "default"
#: task name pattern -> queue. A worker may serve several (docs/operation.md).
CELERY_TASK_ROUTES = {
    "*.tasks.bulk_*": {"queue": "bulk"},  # first: the first pattern that matches holds
    "singlewindow.relay": {"queue": "relay"},
    "declarations.tasks.*": {"queue": "checks"},
    "exchange.tasks.deliver": {"queue": "delivery"},
    "exchange.tasks.*": {"queue": "exchange"},
}
QUEUES = ("relay", "checks", "default", "delivery", "exchange", "bulk")

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
if not PRODUCTION:
    # Example log-ins only: nothing to protect, and a dozen slow hashes would be felt at every start.
    AUTH_PASSWORD_VALIDATORS = []
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "/console/login/"

OAUTH2_PROVIDER_APPLICATION_MODEL = "oauth2_provider.Application"
OAUTH2_PROVIDER = {
    "SCOPES_BACKEND_CLASS": "parties.scopes.Scopes",
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "parties.authentication.Bearer",
        "parties.authentication.Session",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["common.permissions.HasScope"],
    "DEFAULT_PARSER_CLASSES": ["common.formats.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["common.formats.JSONRenderer"],
    "EXCEPTION_HANDLER": "common.problems.handler",
    "DEFAULT_PAGINATION_CLASS": "common.pagination.CursorPagination",
    "DEFAULT_SCHEMA_CLASS": "singlewindow.openapi.Schema",
    "UNAUTHENTICATED_USER": "parties.principals.Anonymous",
    "COERCE_DECIMAL_TO_STRING": True,
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Corridor Single Window",
    "DESCRIPTION": "Single window for trade on the New International Land-Sea Trade Corridor (西部陆海新通道单一窗口).",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "BillStateEnum": "bills.models.BillState",
        "DepartureStateEnum": "bills.models.Departure.State",
        "WebhookEndpointState": "exchange.models.Endpoint.State",
        "WebhookDeliveryState": "exchange.models.Delivery.State",
        "DeclarationStateEnum": "declarations.api.describe.STATES",
        "UploadStateEnum": "declarations.api.describe.UPLOAD_STATES",
    },
    "POSTPROCESSING_HOOKS": [
        "declarations.api.describe.add_components",
        "singlewindow.openapi.add_tokens",
        "singlewindow.openapi.add_problems",
        "singlewindow.openapi.add_webhooks",
        "declarations.api.describe.add_import_response",
    ],
}

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
USE_TZ = True
#: Stored and answered in UTC; pages show the legal zone, which the console activates.
TIME_ZONE = "Asia/Shanghai"

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
MEDIA_ROOT = VAR_DIR / "media"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

#: The largest body any route takes (an archive with its form around it); each parser has a limit of its own below it.
DATA_UPLOAD_MAX_MEMORY_SIZE = 33 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
if PRODUCTION:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000)

LOG_LEVEL = env("LOG_LEVEL", default="INFO")
DJANGO_STRUCTLOG_CELERY_ENABLED = True
_SHARED_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.format_exc_info,
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer(ensure_ascii=False),
            "foreign_pre_chain": _SHARED_PROCESSORS,
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "celery": {"level": env("CELERY_LOG_LEVEL", default="WARNING")},
        "django_structlog.celery": {"level": "WARNING"},
    },
}
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED_PROCESSORS,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
