"""Text of others inside Markdown."""

import html
import re


def escaped(text: str) -> str:
    """Write a text so that Markdown and HTML show it as it is.

    Example:
        >>> escaped("<b> *red*")
        '&lt;b&gt; \\\\*red\\\\*'
    """
    return re.sub(r"([\\`*_\[\]|~#!])", r"\\\1", html.escape(text, quote=False))


def block(text: str) -> str:
    """Write lines as a block that Markdown shows as they are, also if they have marks of a block."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text.rstrip()}\n{fence}"
