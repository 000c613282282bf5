"""Broker URLs: parsed once, typed by the adapter, never showing a secret.

    scheme://user:password@host:port,host:port/path?parameter=value

Every part may be percent-encoded. The scheme names the adapter, and may say two things more: an
``s`` after its first word asks for TLS (``rediss+list``), a last word names the topology
(``redis+list+unix``, ``redis+streams+cluster``). Parameters are those that the adapter declares;
an unknown one is an error, since a misspelt promise would otherwise be dropped silently.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import attrs

from qcore.errors import InvalidUrl

__all__ = ["Parameter", "SchemeParts", "Url", "nearest", "parse_url", "split_scheme", "typed"]

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_PORT = re.compile(r"[0-9]{1,5}")
_PORTS = range(1, 65536)
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_TIME = re.compile(r"([0-9]{1,12}(?:\.[0-9]{0,12})?)(ms|s|m|h|)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}

_LONGEST = 10 * 366 * 86_400.0

_ENCODE = "; a ':', '/', '?' or '@' in a password must be percent-encoded"

TOPOLOGIES = ("unix", "embedded", "sentinel", "cluster")
"""Last words of a scheme that say how the broker is reached, not what it is."""

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@attrs.frozen
class Parameter:
    """A URL parameter that an adapter understands.

    Attributes:
        name: As written in the URL.
        kind: ``str``, ``int``, ``bool`` or ``seconds`` (``2``, ``2s``, ``500ms``, ``5m``).
        default: The value when it is absent.
        help: One line for the documents and for error messages.
        choices: The only values allowed, if not empty.
        least: The smallest number allowed.
    """

    name: str
    kind: str
    default: Any
    help: str
    choices: Sequence[str] = ()
    least: float | None = None


@attrs.frozen
class SchemeParts:
    """What a scheme says: the adapter, whether TLS is asked for, and the topology."""

    adapter: str
    secure: bool = False
    topology: str = ""


@attrs.frozen(repr=False)
class Url:
    """A parsed URL. Its ``str`` and ``repr`` mask the password and every secret parameter."""

    scheme: str
    username: str = ""
    password: str = ""
    hosts: tuple[tuple[str, int | None], ...] = ()
    path: str = ""
    params: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def __str__(self) -> str:
        """The URL with its secrets masked."""
        user = quote(self.username, safe="") + (":***" if self.password else "")
        at = f"{user}@" if user else ""
        hosts = ",".join(_host_text(host, port) for host, port in self.hosts)
        query = "&".join(f"{quote(key, safe='')}={self._shown(key)}" for key in self.params)
        return f"{self.scheme}://{at}{hosts}{quote(self.path)}{'?' if query else ''}{query}"

    def __repr__(self) -> str:
        """The masked URL."""
        return f"<Url {self}>"

    def _shown(self, key: str) -> str:
        is_secret = any(word in key.lower() for word in ("password", "secret"))
        return "***" if is_secret else quote(self.params[key], safe="/:,")


def _host_text(host: str, port: int | None) -> str:
    shown = f"[{quote(host, safe=':')}]" if ":" in host else quote(host, safe="")
    return shown if port is None else f"{shown}:{port}"


def parse_url(text: str) -> Url:
    """Parse a broker URL.

    Raises:
        InvalidUrl: If it is not one. The message never repeats what may hold a password.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidUrl(f"a URL must be text, not {type(text).__name__}")
    scheme, separator, rest = text.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme.lower()):
        raise InvalidUrl("a broker URL looks like 'redis+streams://localhost:6379/0'")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise InvalidUrl("a URL has no spaces or control characters; percent-encode them")
    location, _, query = rest.partition("?")
    authority, slash, path = location.partition("/")
    if "@" in path or "@" in query:
        # Most likely what is before it belongs to a password, and must not be shown as a path.
        raise InvalidUrl("an '@' behind the hosts must be percent-encoded" + _ENCODE)
    userinfo, _, hosts = authority.rpartition("@")
    username, _, password = userinfo.partition(":")
    return Url(
        scheme=scheme.lower(),
        username=_decoded(username),
        password=_decoded(password),
        hosts=_hosts(hosts),
        path=_decoded(slash + path),
        params=_params(query),
    )


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidUrl("a percent-encoded part of the URL is not UTF-8") from None


def _hosts(text: str) -> tuple[tuple[str, int | None], ...]:
    if not text:
        return ()
    hosts = tuple(_host(item) for item in text.split(","))
    if len(hosts) > 1 and not all(host for host, _ in hosts):
        raise InvalidUrl("a host between two commas is empty")
    return hosts


def _host(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, bracket, tail = text[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise InvalidUrl("an IPv6 address looks like '[::1]' or '[::1]:6379'")
        port = tail.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    if not port:
        return _decoded(host), None
    if not _PORT.fullmatch(port) or int(port) not in _PORTS:
        raise InvalidUrl("the port must be a number from 1 to 65535" + _ENCODE)
    return _decoded(host), int(port)


def _params(query: str) -> dict[str, str]:
    params: dict[str, str] = {}
    for item in filter(None, query.split("&")):
        name, _, value = item.partition("=")
        key = _decoded(name)
        if not key:
            raise InvalidUrl("a parameter of the URL has no name")
        if key in params:
            raise InvalidUrl(f"the parameter {key!r} is given twice")
        params[key] = _decoded(value.replace("+", " "))
    return params


def split_scheme(scheme: str, known: Collection[str]) -> SchemeParts:
    """Find the adapter that a scheme names, with what else it says.

    Args:
        scheme: As written in the URL.
        known: The registered schemes.

    Returns:
        The parts; ``adapter`` is not in ``known`` if nothing fits.
    """
    base, _, last = scheme.rpartition("+")
    plain, topology = (base, last) if last in TOPOLOGIES and base else (scheme, "")
    if scheme in known:
        return SchemeParts(scheme)
    if plain in known:
        return SchemeParts(plain, topology=topology)
    first, plus, others = plain.partition("+")
    insecure = first.removesuffix("s") + plus + others
    if first.endswith("s") and insecure in known:
        return SchemeParts(insecure, secure=True, topology=topology)
    return SchemeParts(plain, topology=topology)


def nearest(word: str, known: Iterable[str]) -> str:
    """A half sentence that suggests the closest known word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def typed(url: Url, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """The parameters of a URL, checked and converted, defaults filled in.

    Raises:
        InvalidUrl: If one is unknown or has the wrong type; the message lists what is known.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    for name in url.params:
        if name not in by_name:
            known = ", ".join(sorted(by_name)) or "none"
            hint = nearest(name, by_name)
            raise InvalidUrl(
                f"{url.scheme} knows no parameter {name!r}{hint or '.'} Known: {known}"
            )
    return {
        name: _convert(parameter, url.params[name]) if name in url.params else parameter.default
        for name, parameter in by_name.items()
    }


def _convert(parameter: Parameter, text: str) -> Any:
    value: Any = _CONVERTERS[parameter.kind](parameter.name, text)
    if parameter.choices and value not in parameter.choices:
        allowed = ", ".join(parameter.choices)
        raise InvalidUrl(f"parameter {parameter.name!r} must be one of: {allowed}")
    if parameter.least is not None and value < parameter.least:
        raise InvalidUrl(f"parameter {parameter.name!r} must be at least {parameter.least:g}")
    return value


def _text_value(name: str, text: str) -> str:
    del name
    return text


def _bool_value(name: str, text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise InvalidUrl(f"parameter {name!r} must be 'true' or 'false'")


def _int_value(name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise InvalidUrl(f"parameter {name!r} must be a whole number")
    return int(text)


def _seconds_value(name: str, text: str) -> float:
    found = _TIME.fullmatch(text)
    if found is None:
        raise InvalidUrl(f"parameter {name!r} must be a time such as 30, 30s, 500ms or 5m")
    number = float(found[1]) * _UNITS[found[2]]
    if number > _LONGEST:
        raise InvalidUrl(f"parameter {name!r} must be at most ten years")
    return number


_CONVERTERS: Mapping[str, Callable[[str, str], Any]] = {
    "str": _text_value,
    "bool": _bool_value,
    "int": _int_value,
    "seconds": _seconds_value,
}
