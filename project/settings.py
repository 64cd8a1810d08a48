"""Every setting of the project, read from the environment once, at start."""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from project import database, env
from project.env import origins

BASE_DIR = Path(__file__).resolve().parent.parent
#: Where the embedded parts keep their data; nothing in production writes here.
VAR_DIR = Path(env.text("VAR_DIR", str(BASE_DIR / "var")))

DEBUG = env.boolean("DEBUG", False)
SECRET_KEY = env.text("SECRET_KEY", "insecure-development-key" if DEBUG else None)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])

PROJECT_NAME = env.text("PROJECT_NAME", "Nightshift")
FRONTEND_HOST = env.url("FRONTEND_HOST", "http://localhost:8000", schemes=("http", "https"))

INSTALLED_APPS = [
    "project",
    "accounts",
    "mail",
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
    *env.words("EXTRA_APPS", []),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
]

ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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

DATABASES = {"default": database.configuration(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Broker and Celery --------------------------------------------------------------------------

REDIS_URL = env.url("REDIS_URL", "redis://127.0.0.1:6379/0", schemes=("redis", "rediss", "valkey", "valkeys", "unix"))
BROKER_URL = env.text("BROKER_URL", REDIS_URL)
CRON_TIMEZONE = env.zone("CRON_TIMEZONE", "UTC")

CELERY_BROKER_URL = BROKER_URL
CELERY_TIMEZONE = CRON_TIMEZONE
CELERY_ENABLE_UTC = True

# --- The job engine (`jobs.conf` says what each means) --------------------------------------------

JOBS_LEASE_SECONDS = env.decimal("JOBS_LEASE_SECONDS", 30, least=1, most=3600)
JOBS_LEASE_RENEW_SECONDS = env.decimal("JOBS_LEASE_RENEW_SECONDS", JOBS_LEASE_SECONDS / 3, least=0.2, most=1800)
JOBS_HOUSEKEEPING_SECONDS = env.decimal("JOBS_HOUSEKEEPING_SECONDS", 1, least=0.05, most=60)
JOBS_RESEND_SECONDS = env.decimal("JOBS_RESEND_SECONDS", 30, least=1, most=3600)
JOBS_MAX_WORKER_LOSSES = env.integer("JOBS_MAX_WORKER_LOSSES", 3, least=1, most=100)
JOBS_MAX_MESSAGE_BYTES = env.integer("JOBS_MAX_MESSAGE_BYTES", 256 * 1024, least=1024, most=64 * 1024 * 1024)
JOBS_SHUTDOWN_SECONDS = env.decimal("JOBS_SHUTDOWN_SECONDS", 25, least=1, most=3600)

CELERY_BEAT_SCHEDULER = "jobs.beat:LedgerScheduler"

# --- Mail ---------------------------------------------------------------------------------------

#: Without a host the site works; a mail's job then fails and says why.
SMTP_HOST = env.text("SMTP_HOST", "")
SMTP_PORT = env.integer("SMTP_PORT", 587, least=1, most=65_535)
SMTP_USER = env.text("SMTP_USER", "")
SMTP_PASSWORD = env.text("SMTP_PASSWORD", "")
#: STARTTLS, or TLS from the start on port 465; the server's certificate must be valid.
SMTP_TLS = env.boolean("SMTP_TLS", True)
EMAILS_FROM_EMAIL = env.text("EMAILS_FROM_EMAIL", "nightshift@localhost" if DEBUG else "")
EMAILS_FROM_NAME = env.text("EMAILS_FROM_NAME", PROJECT_NAME)

# --- Object storage -----------------------------------------------------------------------------

#: Two S3-compatible buckets: what people upload (SeaweedFS), and what the public is served (Cloudflare R2). Without
#: an endpoint the site works; a job that needs the store then fails and says why.
STORAGE_ENDPOINT = env.url("STORAGE_ENDPOINT", "", schemes=("http", "https"))
STORAGE_BUCKET = env.text("STORAGE_BUCKET", "")
STORAGE_ACCESS_KEY = env.text("STORAGE_ACCESS_KEY", "")
STORAGE_SECRET_KEY = env.text("STORAGE_SECRET_KEY", "")
#: Where browsers read the bucket; empty: through this site.
STORAGE_PUBLIC_URL = env.url("STORAGE_PUBLIC_URL", "", schemes=("http", "https"))

# In development one store may do for both.
_SHARED_STORE = DEBUG and not env.text("ASSETS_ENDPOINT", "")
ASSETS_ENDPOINT = env.url("ASSETS_ENDPOINT", STORAGE_ENDPOINT if _SHARED_STORE else "", schemes=("http", "https"))
ASSETS_BUCKET = env.text("ASSETS_BUCKET", STORAGE_BUCKET if _SHARED_STORE else "")
ASSETS_ACCESS_KEY = env.text("ASSETS_ACCESS_KEY", STORAGE_ACCESS_KEY if _SHARED_STORE else "")
ASSETS_SECRET_KEY = env.text("ASSETS_SECRET_KEY", STORAGE_SECRET_KEY if _SHARED_STORE else "")
ASSETS_PUBLIC_URL = env.url("ASSETS_PUBLIC_URL", STORAGE_PUBLIC_URL if _SHARED_STORE else "", schemes=("http", "https"))

#: An uploaded image may have this many bytes and pixels; a pixel takes four bytes once decoded.
IMAGES_MAX_BYTES = env.integer("IMAGES_MAX_BYTES", 10_000_000, least=10_000, most=100_000_000)
IMAGES_MAX_PIXELS = env.integer("IMAGES_MAX_PIXELS", 40_000_000, least=10_000, most=80_000_000)
IMAGES_WIDTHS = (320, 640, 1280, 1920)

#: `storage.orphans` deletes nothing where more than this share, and this number, of objects would go.
ORPHANS_MAX_SHARE = env.decimal("ORPHANS_MAX_SHARE", 0.2, least=0, most=1)
ORPHANS_MAX_COUNT = env.integer("ORPHANS_MAX_COUNT", 100, least=0, most=1_000_000_000)
ORPHANS_MIN_AGE_SECONDS = env.integer("ORPHANS_MIN_AGE_SECONDS", 3600, least=0, most=365 * 86_400)

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
STATICFILES_DIRS = [BASE_DIR / "static"]

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
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = FRONTEND_HOST.startswith("https://")

#: Counts log-in attempts and the like. Without Redis each web process counts for itself.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "nightshift",
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
    if env.text("REDIS_URL", "")
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# --- The front page ---------------------------------------------------------------------------------

#: Where the front page leads for Flower; empty: nowhere.
FLOWER_URL = env.text("FLOWER_URL", "http://localhost:5555/" if DEBUG else "")

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
        "img-src": ["'self'", "data:", *origins(STORAGE_PUBLIC_URL, ASSETS_PUBLIC_URL)],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "frame-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
