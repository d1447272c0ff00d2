"""Where the exchange may connect to. A URL is looked at when it is given; the address is checked when the connection is
made, on the very address that is connected to, so a name that resolves to something else by then gains nothing."""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from django.conf import settings

from common.problems import Fault
from common.text import T

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: What counts as "global" and yet leads inside: shared address space (carrier NAT), a cloud's metadata service, relays to IPv4
#: (NAT64, 6to4, IPv4-compatible and -translated addresses), old site-local addresses.
_REFUSED = [
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10", "168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "64:ff9b::/96",
        "64:ff9b:1::/48", "2002::/16", "::/96", "::ffff:0:0:0/96", "fec0::/10",
    )
]  # fmt: skip


class ForbiddenAddress(OSError):
    """The address is not one the exchange connects to."""


@lru_cache(maxsize=8)
def _networks(given: tuple[str, ...]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(network) for network in given]


def is_allowed(address: str) -> bool:
    """Whether ``address`` is public, or explicitly allowed (EXCHANGE_ALLOW_NETWORKS)."""
    try:
        ip: Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if any(ip in network for network in _networks(tuple(settings.EXCHANGE_ALLOW_NETWORKS))):
        return True
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _REFUSED)


def _literal(host: str) -> str | None:
    """The IP address ``host`` spells, as a connection would understand it (``127.1``, ``0x7f000001`` included)."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def url_faults(url: str, pointer: str = "/url") -> list[Fault]:
    """What is wrong with ``url`` as an endpoint, as far as can be told without connecting."""

    def fault(code: str, zh: str, en: str) -> list[Fault]:
        return [Fault(pointer, code, T(zh, en))]

    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return fault("url", "不是合法的地址", "Not a URL")
    if not host or len(url) > 500 or not url.isascii() or any(character <= " " for character in url) or "\\" in url:
        return fault("url", "不是合法的地址", "Not a URL")
    if parts.username is not None or parts.password is not None:
        return fault("url-credentials", "地址中不得含用户名或密码", "The URL must not carry credentials")
    if parts.fragment:
        return fault("url", "地址中不得含片段", "The URL must not have a fragment")
    if not all(0 < len(label) < 64 for label in host.removesuffix(".").split(".")):
        return fault("url", "主机名有误", "Not the name of a host")
    literal = _literal(host)
    if literal is not None and not is_allowed(literal):
        return fault("private-address", "不得指向内网、环回或元数据地址", "Must not point to a private address")
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return fault("private-address", "不得指向内网、环回或元数据地址", "Must not point to a private address")
    tested = literal is not None and any(
        ipaddress.ip_address(literal) in network for network in _networks(tuple(settings.EXCHANGE_ALLOW_NETWORKS))
    )
    if parts.scheme != "https" and not (parts.scheme == "http" and tested):
        return fault("url-scheme", "须为 https 地址", "Must be an https URL")
    if port == 0:
        return fault("url", "不是合法的地址", "Not a URL")
    return []


def _guarded_socket(addr_info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, address = addr_info
    if not is_allowed(str(address[0])):
        raise ForbiddenAddress(f"{address[0]} is not an address the exchange connects to")
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setblocking(False)
    return made


def session(*, connections: int = 256, per_host: int = 0) -> aiohttp.ClientSession:
    """An HTTP client that connects to allowed addresses only, follows no redirect, keeps no cookie, and trusts neither
    proxies nor ``.netrc`` of the environment. Use inside a running loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections,
            limit_per_host=per_host,
            ttl_dns_cache=10,
            socket_factory=_guarded_socket,
            keepalive_timeout=30,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        headers={"User-Agent": "corridor-single-window/1"},
    )
