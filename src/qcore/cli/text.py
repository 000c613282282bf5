"""Text that is safe to show: no control characters, no passwords; bodies as JSON can hold them."""

from __future__ import annotations

import base64
import re

__all__ = ["body_fields", "masked", "plain", "preview"]

_USERINFO = re.compile(r"(://[^:@/\s]*:).*@")
_SECRET = re.compile(r"([?&][^=&\s]*(?:password|secret)[^=&\s]*=)[^&\s]*", re.IGNORECASE)


def masked(text: str) -> str:
    """The text with the password of every URL in it replaced; rather too much than too little."""
    return _SECRET.sub(r"\1***", _USERINFO.sub(r"\1***@", text))


def plain(text: str) -> str:
    """The text with everything escaped that a terminal would obey instead of show."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def preview(body: bytes, most: int = 60) -> str:
    """The beginning of a body, on one line."""
    shown = plain(body[: 4 * most].decode(errors="backslashreplace"))
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def body_fields(body: bytes) -> dict[str, str | None]:
    """A body for JSON: always as base64, and as text if it is UTF-8."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = None
    return {"body_base64": base64.b64encode(body).decode(), "body_text": text}
