"""Taking URLs apart: scheme, address, options. No message here shows more than names.

Written out instead of `urllib.parse.urlsplit`, which drops tabs and newlines in silence and
whose errors quote the host part with its password.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from symphra_cache._config_schema import is_secret
from symphra_cache.exceptions import ConfigurationError

__all__ = ["Address", "looks_like_url", "read_url"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Address(NamedTuple):
    """A URL in its parts.

    Attributes:
        scheme: in lower case.
        base: the URL as written, without its query.
        host: what stands between ``://`` and the next ``/``, as written.
        path: from that ``/`` on, percent-decoded.
        query: names and texts, percent-decoded; ``+`` is a space, as `urllib.parse.urlencode`
            writes it.
        query_may_hold_secret: a name found in the query may be a part of a password that
            lacks its percent-encoding.
    """

    scheme: str
    base: str
    host: str
    path: str
    query: list[tuple[str, str]]
    query_may_hold_secret: bool


def looks_like_url(text: str) -> bool:
    """Tell whether a text starts as URLs do."""
    return _SCHEME.match(text) is not None


def read_url(place: str, url: object) -> Address:
    """Take a URL apart.

    Args:
        place: what messages begin with.
        url: what was given as a URL.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(url, str):
        raise ConfigurationError(
            f"{place}url must be a str such as 'memory://', got {type(url).__name__}"
        )
    scheme = _scheme(place, url)
    base, _, query = url.partition("?")
    host, slash, path = base[len(scheme) + len("://") :].partition("/")
    options = _options(f"{place}{scheme.lower()}://", query)
    return Address(
        scheme=scheme.lower(),
        base=base,
        host=host,
        # As os.fsdecode: names of files may hold bytes that are no UTF-8.
        path=unquote(slash + path, errors="surrogateescape"),
        query=options,
        query_may_hold_secret="@" in query or any(is_secret(name) for name, _ in options),
    )


def _scheme(place: str, url: str) -> str:
    """Return the scheme, once the characters are known to be those of a URL."""
    found = _SCHEME.match(url)
    if found is None:
        remedy = (
            "write file:///absolute/path.db, with three slashes"
            if url.startswith("file:")
            else "write memory:// or file:///var/cache/app.db, for example"
        )
        raise ConfigurationError(f"{place}url must start with 'scheme://'; {remedy}")
    if _CONTROL.search(url):
        raise ConfigurationError(
            f"{place}url must not hold control characters such as a newline; "
            "remove them or percent-encode them"
        )
    if "#" in url:
        raise ConfigurationError(f"{place}url must not hold a '#'; write it as %23")
    return found[1]


def _options(place: str, query: str) -> list[tuple[str, str]]:
    fields = [field.partition("=") for field in query.split("&") if field]
    if not all(name and equals for name, equals, _ in fields):
        # Not shown, for it may be a part of a password.
        raise ConfigurationError(
            f"{place} query must be made of name=value, joined with '&', got a part without "
            "name or '='; inside a value or a password write & as %26 and ? as %3F"
        )
    try:
        return [
            (unquote_plus(name, errors="strict"), unquote_plus(text, errors="strict"))
            for name, _, text in fields
        ]
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"{place} query must be percent-encoded UTF-8, got other bytes"
        ) from None
