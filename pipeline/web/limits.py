"""How often something may be asked for: by one client, and by all of them. In memory, for one process of the web."""

from collections import OrderedDict
from datetime import datetime
from ipaddress import IPv6Address, ip_address

from pipeline.deliver.pacing import Bucket

HOUR_S = 3600.0
REMEMBERED = 10_000
"""Clients; whoever was heard of longest ago is forgotten first. What all may ask for together stays bounded."""
NETWORK_BITS = 64
"""An IPv6 subscriber has a whole /64 (RFC 6177)."""


class Limits:
    """What is left to each client, and to all."""

    def __init__(self, per_client: int, in_all: int) -> None:
        """Both: requests in an hour, at most."""
        self._per_client = per_client
        self._in_all = in_all
        self._clients: OrderedDict[str, Bucket] = OrderedDict()
        self._all: Bucket | None = None

    def takes(self, client: str, at: datetime) -> bool:
        """Whether one more is taken; then it counts."""
        name = network(client)
        theirs = self._clients.pop(name, None) or Bucket.within(self._per_client, HOUR_S, at)
        everyones = self._all or Bucket.within(self._in_all, HOUR_S, at)
        taken = theirs.wait_s(at) <= 0 and everyones.wait_s(at) <= 0
        if taken:
            theirs, everyones = theirs.taken(at), everyones.taken(at)
        self._clients[name], self._all = theirs, everyones
        while len(self._clients) > REMEMBERED:
            self._clients.popitem(last=False)
        return taken


def network(client: str) -> str:
    """What counts as one client: an IPv4 address, or the network that an IPv6 address is of."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> NETWORK_BITS << NETWORK_BITS))
    return str(address)


class Once:
    """What was done within an hour already: hours of a clock, as requests for confirmation count them."""

    def __init__(self) -> None:
        self._hour = -1
        self._done: set[str] = set()

    def first(self, name: str, at: datetime) -> bool:
        """Whether it was not done yet in this hour."""
        if (hour := int(at.timestamp() // HOUR_S)) != self._hour:
            self._hour, self._done = hour, set()
        return name not in self._done

    def done(self, name: str) -> None:
        """It was done."""
        self._done.add(name)
