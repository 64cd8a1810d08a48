# One image for web, workers, Beat and Flower; what it runs is its command (see Procfile).

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN python -m venv /venv
WORKDIR /app
COPY requirements.txt .
RUN /venv/bin/pip install --requirement requirements.txt
COPY . .
# Static files get names with a hash; the settings ask for a key, which is not kept.
RUN DEBUG=false SECRET_KEY=$(head -c 48 /dev/urandom | base64 -w0) ALLOWED_HOSTS=localhost DATABASE_URL=sqlite:///:memory: \
    BROKER_URL=ledger:// /venv/bin/python manage.py collectstatic --noinput --verbosity 0

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin nightshift
COPY --from=build /venv /venv
COPY --from=build --chown=root:root /app /app
ENV DEBUG=false PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
# A number: Kubernetes' runAsNonRoot cannot look a name up.
USER 10001
EXPOSE 8000
CMD ["python", "-m", "project.web", "--host", "0.0.0.0", "--port", "8000", "--graceful-seconds", "20"]
