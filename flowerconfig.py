"""Flower reads this where `celery --app project flower` starts: it closes what Flower itself leaves open."""

from project import flower

flower.ask_for_the_login_everywhere()
flower.follow_the_settings()
