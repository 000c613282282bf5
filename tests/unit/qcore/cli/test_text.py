from __future__ import annotations

import pytest

from qcore.cli.text import body_fields, masked, plain, preview

CANARY = "c4n4ry"


@pytest.mark.parametrize(
    "text",
    [
        f"redis+list://user:{CANARY}@host:6379/0",
        f"redis+list://:{CANARY}@host",
        f"cannot reach rediss+streams://u:{CANARY}@a,b:7000/3?lease=2s, sorry",
        f"redis+list://u:with@sign{CANARY}@host",
        f"redis+list://u:slash/{CANARY}@host",
        f"redis+list://u:blank {CANARY}@host",
        f"redis+list://h?sentinel_password={CANARY}&lease=2",
        f"redis+list://h?x=1&client_secret={CANARY}",
    ],
)
def test_a_password_is_masked_wherever_it_stands(text: str) -> None:
    """A message that quotes a URL, well written or not, must not give its password away."""
    assert CANARY not in masked(text)


@pytest.mark.parametrize(
    "text", ["redis+list://host:6379/0?lease=2s", "mail a@b about memory://x", "no URL: at @all"]
)
def test_text_without_a_password_stays_as_it_is(text: str) -> None:
    """Masking must not spoil what somebody needs to read."""
    assert masked(text) == text


def test_what_a_terminal_would_obey_is_escaped() -> None:
    """A job's body must not be able to clear the screen or move the cursor of who looks at it."""
    assert plain("a\x1b[2Jb\r\n\u202e€") == "a\\x1b[2Jb\\r\\n\\u202e€"


def test_a_preview_is_short_and_on_one_line() -> None:
    """A table with large bodies is still a table."""
    assert preview(b"two\nlines") == "two\\nlines"
    assert preview(b"x" * 10_000) == "x" * 59 + "…"
    assert preview(b"\xff") == "\\xff"


def test_a_body_is_always_there_as_base64_and_as_text_if_it_is_text() -> None:
    """Programs get every body in full, and need not decode those that are text."""
    assert body_fields("é".encode()) == {"body_base64": "w6k=", "body_text": "é"}
    assert body_fields(b"\xff") == {"body_base64": "/w==", "body_text": None}
