# One image, three commands (web, worker, beat): docker-compose.yml says which.
FROM python:3.11-slim-bookworm AS build
COPY requirements/base.txt /requirements.txt
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r /requirements.txt

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends fonts-noto-cjk \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /data singlewindow
COPY --from=build /venv /venv
COPY . /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=singlewindow.settings \
    PRODUCTION=1 \
    VAR_DIR=/data
RUN SECRET_KEY=for-collectstatic-only VAR_DIR=/app/var python manage.py collectstatic --noinput
USER singlewindow
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "8", "--no-ws", "singlewindow.wsgi:application"]
