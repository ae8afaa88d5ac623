"""Turns a due batch into the messages that will be sent: rendered once and frozen, so that a resend is identical."""

from .context import context_of
from .deliveries import render
from .failures import RenderError
from .names import summary
from .templates import template_problems

__all__ = ["RenderError", "context_of", "render", "summary", "template_problems"]
