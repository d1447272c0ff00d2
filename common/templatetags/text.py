"""``{% load text %}{% t "待办" "Queue" %}``: the template's side of :mod:`common.text`."""

from django import template

from common.text import pick

register = template.Library()


@register.simple_tag
def t(zh: str, en: str, **params: object) -> str:
    return pick(zh, en, **params)
