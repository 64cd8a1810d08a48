"""Every setting of the project, read from the environment once, at start."""

from importlib.metadata import distribution
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured

from project import database, env, hosts, keys, logs, shared_environment

BASE_DIR = Path(__file__).resolve().parent.parent
#: Where the embedded parts keep their data; nothing in production writes here.
VAR_DIR = Path(env.text("VAR_DIR", str(BASE_DIR / "var")))
# What runs beside a `make up` belongs to it; what is production does not.
shared_environment.adopt(VAR_DIR)

#: Off is production: what has a default only for development must then be set, and browsers are told to be strict.
DEBUG = env.boolean("DEBUG", False)
if not DEBUG:
    env.require(*shared_environment.REQUIRED, when="in production (DEBUG is off)")

SECRET_KEY = keys.secret_key("SECRET_KEY", "insecure-development-key" if DEBUG else None, strict=not DEBUG)
#: Keys of before: what was signed with them is good for its time.
SECRET_KEY_FALLBACKS = keys.secret_keys("SECRET_KEY_FALLBACKS", strict=not DEBUG)
ALLOWED_HOSTS = hosts.allowed("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
if not DEBUG and "*" in ALLOWED_HOSTS:
    env.require("FRONTEND_HOST", when="where ALLOWED_HOSTS has *, which is no name that a link could lead to")

PROJECT_NAME = env.text("PROJECT_NAME", "Nightshift")
#: Where readers find the site; links in mails begin with it.
FRONTEND_HOST = hosts.site(
    "FRONTEND_HOST", "http://localhost:8000" if DEBUG else f"https://{ALLOWED_HOSTS[0].lstrip('.')}"
)

PLAYGROUND = env.boolean("PLAYGROUND", default=False)
if PLAYGROUND and not DEBUG:
    raise ImproperlyConfigured("PLAYGROUND is set although DEBUG is off: it has a button that kills a worker.")

INSTALLED_APPS = [
    "project",
    "accounts",
    "posts",
    "mail",
    "notify",
    "search",
    "storage",
    "jobs",
    "csp",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_beat",
    # From Django 6.0 on a part of it: `django.tasks`.
    *(["django_tasks"] if django.VERSION < (6, 0) else []),
    *(["project.playground"] if PLAYGROUND else []),
]
# One that has become a part of the project may still be named there.
INSTALLED_APPS += [app for app in dict.fromkeys(env.words("EXTRA_APPS", [])) if app not in INSTALLED_APPS]

MIDDLEWARE = [
    "jobs.observability.middleware.request_context",
    "django.middleware.security.SecurityMiddleware",
    "project.probes.answer_probes",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "project.privacy.keep_private_pages_private",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "project.web.bodies.refuse_cut_off_bodies",
]

ROOT_URLCONF = "project.urls"
#: Templates and scripts of the API's documentation. Ninja is no installed app, since every process would load it then,
#: with pydantic's models and Django's test client; the URLs of the API do that where they are used.
_NINJA_DIR = Path(str(distribution("django-ninja").locate_file("ninja")))
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates", _NINJA_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "project.context.site",
            ],
        },
    },
]

# --- Database -----------------------------------------------------------------------------------

DATABASE_URL = env.url(
    "DATABASE_URL",
    f"sqlite:///{VAR_DIR / 'nightshift.sqlite3'}" if DEBUG else None,
    schemes=("sqlite", "postgres", "postgresql"),
)

DATABASES = {
    "default": database.configuration(DATABASE_URL, prepared=env.boolean("DATABASE_PREPARED_STATEMENTS", True))
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Broker and Celery --------------------------------------------------------------------------

#: Where processes share what is not worth a table: counts of log-in attempts. Empty: each counts for itself.
REDIS_URL = env.redis_url("REDIS_URL", "")
if not DEBUG and not REDIS_URL:
    env.require("BROKER_URL", when="in production (DEBUG is off) unless REDIS_URL is set")
BROKER_URL = env.broker_url("BROKER_URL", REDIS_URL or "redis://127.0.0.1:6379/0")
#: The brokers of queues that BROKER_URL does not carry.
JOBS_BROKERS = env.broker_urls("JOBS_BROKERS")
CRON_TIMEZONE = env.zone("CRON_TIMEZONE", "UTC")

CELERY_BROKER_URL = BROKER_URL
CELERY_TIMEZONE = CRON_TIMEZONE
CELERY_ENABLE_UTC = True
# Celery's default. Every call of a task asks for it, and what no settings say takes three times as long to find.
CELERY_TASK_ALWAYS_EAGER = False

# --- The job engine (`jobs.conf` says what each means) --------------------------------------------

JOBS_LIMITS = env.limits("JOBS_LIMITS")
JOBS_QUEUE_WEIGHTS = env.numbers("JOBS_QUEUE_WEIGHTS")
JOBS_LEASE_SECONDS = env.decimal("JOBS_LEASE_SECONDS", 30, least=1, most=3600)
JOBS_LEASE_RENEW_SECONDS = env.decimal("JOBS_LEASE_RENEW_SECONDS", JOBS_LEASE_SECONDS / 3, least=0.2, most=1800)
JOBS_HOUSEKEEPING_SECONDS = env.decimal("JOBS_HOUSEKEEPING_SECONDS", 1, least=0.05, most=60)
JOBS_RESEND_SECONDS = env.decimal("JOBS_RESEND_SECONDS", 30, least=1, most=3600)
JOBS_MAX_WORKER_LOSSES = env.integer("JOBS_MAX_WORKER_LOSSES", 3, least=1, most=100)
JOBS_MAX_MESSAGE_BYTES = env.integer("JOBS_MAX_MESSAGE_BYTES", 256 * 1024, least=1024, most=64 * 1024 * 1024)
JOBS_MAX_RESULT_BYTES = env.integer("JOBS_MAX_RESULT_BYTES", 1024 * 1024, least=1024, most=64 * 1024 * 1024)
JOBS_SHUTDOWN_SECONDS = env.decimal("JOBS_SHUTDOWN_SECONDS", 25, least=1, most=3600)
JOBS_DEPLOY_GRACE = env.decimal("JOBS_DEPLOY_GRACE", 3600, least=0.1, most=30 * 86_400)
JOBS_RETENTION_SECONDS = env.integer("JOBS_RETENTION_SECONDS", 7 * 86_400, least=60, most=3650 * 86_400)
JOBS_DEAD_RETENTION_SECONDS = env.integer("JOBS_DEAD_RETENTION_SECONDS", 14 * 86_400, least=60, most=3650 * 86_400)
JOBS_HISTORY_SECONDS = env.integer("JOBS_HISTORY_SECONDS", 90 * 86_400, least=60, most=3650 * 86_400)
JOBS_API_REQUESTS_PER_MINUTE = env.integer("JOBS_API_REQUESTS_PER_MINUTE", 1200, least=1, most=1_000_000)
JOBS_LOG_BYTES = env.integer("JOBS_LOG_BYTES", 64 * 1024, least=0, most=1024 * 1024)
JOBS_ENCRYPTION_KEYS = keys.encryption_keys("JOBS_ENCRYPTION_KEYS")
JOBS_LATENCY_TARGETS = env.durations("JOBS_LATENCY_TARGETS")
JOBS_WEBHOOK_NETWORKS = env.networks("JOBS_WEBHOOK_NETWORKS")
JOBS_STREAMS_PER_TOKEN = env.integer("JOBS_STREAMS_PER_TOKEN", 600, least=1, most=100_000)
JOBS_STREAMS_PER_PERSON = env.integer("JOBS_STREAMS_PER_PERSON", 50, least=1, most=100_000)
JOBS_STREAMS_PER_PROCESS = env.integer("JOBS_STREAMS_PER_PROCESS", 800, least=1, most=100_000)

CELERY_BEAT_SCHEDULER = "jobs.schedules.beat:LedgerScheduler"

#: Django Tasks (`@task`, `.enqueue()`) of other people's apps run as jobs, in any queue that a worker knows.
TASKS = {"default": {"BACKEND": "jobs.django_tasks.LedgerBackend", "QUEUES": []}}

# --- Mail ---------------------------------------------------------------------------------------

#: Which way mail leaves: through the server at SMTP_HOST, or Amazon's API.
MAIL_EXECUTOR = env.choice("MAIL_EXECUTOR", "smtp", among=("smtp", "ses"))
#: Without a host the site works; a mail's job then fails and says why.
SMTP_HOST = env.text("SMTP_HOST", "")
SMTP_PORT = env.integer("SMTP_PORT", 587, least=1, most=65_535)
SMTP_USER = env.text("SMTP_USER", "")
SMTP_PASSWORD = env.text("SMTP_PASSWORD", "")
#: STARTTLS, or TLS from the start on port 465; the server's certificate must be valid.
SMTP_TLS = env.boolean("SMTP_TLS", True)
if MAIL_EXECUTOR == "ses":
    env.require("SES_REGION", when="where MAIL_EXECUTOR is ses")
SES_REGION = env.text("SES_REGION", "")
#: Both empty: boto3 finds credentials by itself, those of the machine's role for example.
SES_ACCESS_KEY = env.text("SES_ACCESS_KEY", "")
SES_SECRET_KEY = env.text("SES_SECRET_KEY", "")
#: Where the API is not at the region's usual address.
SES_ENDPOINT = hosts.server("SES_ENDPOINT", "")
EMAILS_FROM_EMAIL = env.text("EMAILS_FROM_EMAIL", "nightshift@localhost" if DEBUG else "")
#: How many mails one client of the API may submit in an hour.
MAIL_SUBMISSIONS_PER_HOUR = env.integer("MAIL_SUBMISSIONS_PER_HOUR", 1000, least=1, most=100_000_000)
#: How many mailings, each to up to 1,000 addresses.
MAIL_BULK_SUBMISSIONS_PER_HOUR = env.integer("MAIL_BULK_SUBMISSIONS_PER_HOUR", 10, least=1, most=1_000_000)
EMAILS_FROM_NAME = env.text("EMAILS_FROM_NAME", PROJECT_NAME)

# --- Messages by Telegram ----------------------------------------------------------------------------

#: Without a token the site works; a message's job then fails and says why.
TELEGRAM_BOT_TOKEN = env.text("TELEGRAM_BOT_TOKEN", "")
TELEGRAM_API_URL = hosts.server("TELEGRAM_API_URL", "https://api.telegram.org")

# --- Object storage -----------------------------------------------------------------------------

#: Two S3-compatible buckets: what people upload (SeaweedFS), and what the public is served (Cloudflare R2). Without
#: an endpoint the site works; a job that needs the store then fails and says why.
STORAGE_ENDPOINT = env.url("STORAGE_ENDPOINT", "", schemes=("http", "https"))
STORAGE_BUCKET = env.text("STORAGE_BUCKET", "")
STORAGE_ACCESS_KEY = env.text("STORAGE_ACCESS_KEY", "")
STORAGE_SECRET_KEY = env.text("STORAGE_SECRET_KEY", "")
#: What requests are signed for. Amazon and some others insist on their own, R2 and SeaweedFS take this one.
STORAGE_REGION = env.text("STORAGE_REGION", "us-east-1")

# In development one store may do for both.
_SHARED_STORE = DEBUG and not env.text("ASSETS_ENDPOINT", "")
ASSETS_ENDPOINT = env.url("ASSETS_ENDPOINT", STORAGE_ENDPOINT if _SHARED_STORE else "", schemes=("http", "https"))
ASSETS_BUCKET = env.text("ASSETS_BUCKET", STORAGE_BUCKET if _SHARED_STORE else "")
ASSETS_ACCESS_KEY = env.text("ASSETS_ACCESS_KEY", STORAGE_ACCESS_KEY if _SHARED_STORE else "")
ASSETS_SECRET_KEY = env.text("ASSETS_SECRET_KEY", STORAGE_SECRET_KEY if _SHARED_STORE else "")
ASSETS_REGION = env.text("ASSETS_REGION", STORAGE_REGION if _SHARED_STORE else "us-east-1")
#: Where browsers read the bucket; empty: through this site. What people upload is read through this site alone.
ASSETS_PUBLIC_URL = env.url("ASSETS_PUBLIC_URL", "", schemes=("http", "https"))

# --- Search ----------------------------------------------------------------------------------------

#: Without it the site's own database is searched.
MEILISEARCH_URL = env.url("MEILISEARCH_URL", "", schemes=("http", "https"))
MEILISEARCH_API_KEY = env.text("MEILISEARCH_API_KEY", "")

#: An uploaded image may have this many bytes and pixels; a pixel takes four bytes once decoded.
IMAGES_MAX_BYTES = env.integer("IMAGES_MAX_BYTES", 10_000_000, least=10_000, most=100_000_000)
IMAGES_MAX_PIXELS = env.integer("IMAGES_MAX_PIXELS", 40_000_000, least=10_000, most=80_000_000)
IMAGES_WIDTHS = (320, 640, 1280, 1920)

#: `storage.orphans` deletes nothing where more than this share, and this number, of objects would go.
ORPHANS_MAX_SHARE = env.decimal("ORPHANS_MAX_SHARE", 0.2, least=0, most=1)
ORPHANS_MAX_COUNT = env.integer("ORPHANS_MAX_COUNT", 100, least=0, most=1_000_000_000)
ORPHANS_MIN_AGE_SECONDS = env.integer("ORPHANS_MIN_AGE_SECONDS", 3600, least=0, most=365 * 86_400)

# --- Requests -----------------------------------------------------------------------------------------

#: The largest body of a request without its files: 10,000 jobs in one go must fit.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000_000
#: The largest body of any request: one of those, or a picture with the form around it.
REQUEST_MAX_BYTES = max(DATA_UPLOAD_MAX_MEMORY_SIZE, IMAGES_MAX_BYTES) + 1_000_000
#: How many connections a web process holds at a time; fewer where the system gives it fewer descriptors.
WEB_MAX_CONNECTIONS = env.integer("WEB_MAX_CONNECTIONS", 1000, least=10, most=100_000)

# --- Time, language, static files, password rules -------------------------------------------------

LANGUAGE_CODE = "en"
#: The languages mails come in; a new one needs a catalogue in `locale/`.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static", _NINJA_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        # Names with a hash of the content may be kept by browsers for ever; `collectstatic` makes them.
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# --- Accounts and sessions ------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:log-in"
LOGIN_REDIRECT_URL = "accounts:account"
LOGOUT_REDIRECT_URL = "front"

# --- Transport security ---------------------------------------------------------------------------

_HTTPS = FRONTEND_HOST.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
CSRF_TRUSTED_ORIGINS = [FRONTEND_HOST]

#: Whether plain HTTP is answered with the HTTPS address.
SECURE_SSL_REDIRECT = env.boolean("HTTPS_REDIRECT", _HTTPS)
#: Orchestrators probe, and Prometheus scrapes, without TLS.
SECURE_REDIRECT_EXEMPT = ["^livez$", "^readyz$", "^metrics$"]
#: How long browsers refuse plain HTTP after a visit. Once HTTPS is known to work, a year is 31536000.
SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS", 3600 if _HTTPS else 0, least=0, most=63_072_000)
#: The proxies whose X-Forwarded-For and X-Forwarded-Proto `project.web` believes; none named: one on this machine.
FORWARDED_ALLOW_IPS = hosts.proxies("FORWARDED_ALLOW_IPS")
#: A proxy that ends TLS tells of it in X-Forwarded-Proto. Only behind one may that header be believed.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.boolean("BEHIND_PROXY", False) else None
SILENCED_SYSTEM_CHECKS = [
    # Subdomains, and the browsers' preload list, concern more than this site: its operator decides.
    "security.W005",
    "security.W021",
]

#: Counts log-in attempts and the like. Without Redis each web process counts for itself.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "nightshift",
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# --- Logs and errors --------------------------------------------------------------------------------

LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", among=("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_FORMAT = env.choice("LOG_FORMAT", "text" if DEBUG else "json", among=("text", "json"))
LOGGING = logs.configuration(level=LOG_LEVEL, style=LOG_FORMAT)

#: What Prometheus shows at `/metrics`; empty: only tokens of the API and members of staff get in.
METRICS_TOKEN = env.text("METRICS_TOKEN", "")

SENTRY_DSN = env.url("SENTRY_DSN", "", schemes=("http", "https"))
if SENTRY_DSN:
    from jobs.observability import sentry

    sentry.configure(SENTRY_DSN, environment="development" if DEBUG else "production")

# --- The front page ---------------------------------------------------------------------------------

#: Where the front page leads for Flower; empty: nowhere.
FLOWER_URL = env.text("FLOWER_URL", "http://localhost:5555/" if DEBUG else "")
#: Who may log in to Flower, which reads the variable itself; checked here as every process starts.
FLOWER_BASIC_AUTH = keys.login("FLOWER_BASIC_AUTH", "")

# --- Development's inbox ----------------------------------------------------------------------------

#: Where the mail catcher puts what it catches and `/inbox/` finds it; empty: there is no inbox.
INBOX_DIR = env.text("INBOX_DIR", str(VAR_DIR / "inbox") if DEBUG else "")
if INBOX_DIR and not DEBUG:
    raise ImproperlyConfigured(
        "INBOX_DIR is set although DEBUG is off: the inbox shows every mail, with its links, to everybody."
    )

# --- What browsers may do with our pages ------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", *env.origins(ASSETS_PUBLIC_URL)],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "frame-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
