"""Two nodes on one Linux machine: network namespaces with an address each, joined by a link of chosen quality.

The link's middle is a third namespace, so that the machine's own networks stay as they are: programs such as browsers
drop their connections when those change.

Needs root, ``ip`` and ``tc`` (iproute2). ``reason_against()`` says why it cannot be done here. Started as a program, it
is one direction of a relay.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

ADDRESSES = ("10.77.0.1", "10.77.0.2")
LINKS, BRIDGE = ("link0", "link1"), "bridge"  # in the middle
ALL_PROTOCOLS = 0x0003  # ETH_P_ALL, <linux/if_ether.h>
PACKET_BYTES = 9000  # large, so that a relay has few to pass on
BURST = (
    "16kb"  # that the link passes on at once after a pause: little, since the messages of a step are as small as 46 kB
)
# A relay takes packets as they are. So they must be no larger than the link's, with their checksums computed: this
# switches off what is otherwise left to the device (SIOCETHTOOL with ETHTOOL_STXCSUM, ETHTOOL_STSO and ETHTOOL_SGSO).
WHOLE_PACKETS = """
import ctypes, fcntl, socket, struct
for command in (0x17, 0x1f, 0x24):
    value = ctypes.create_string_buffer(struct.pack("II", command, 0))
    request = struct.pack("16sQ16x", b"eth0", ctypes.addressof(value))
    fcntl.ioctl(socket.socket(), 0x8946, request)
"""


class Nodes:
    """Two namespaces, their link and the namespace in its middle; use ``nodes()``."""

    def __init__(self, name: str) -> None:
        self.names = (f"{name}a", f"{name}b")
        self.middle = f"{name}m"

    def join(self) -> None:
        """Make the namespaces and join them."""
        for name in (self.middle, *self.names):
            run("ip", "netns", "add", name)
        self.link("add", BRIDGE, "type", "bridge")
        self.link("set", BRIDGE, "up")
        for name, link, address in zip(self.names, LINKS, ADDRESSES, strict=True):
            self.link("add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
            self.link("set", link, "master", BRIDGE, "up", "mtu", str(PACKET_BYTES))
            run("ip", "-n", name, "link", "set", "eth0", "mtu", str(PACKET_BYTES))
            run("ip", "netns", "exec", name, sys.executable, "-c", WHOLE_PACKETS)
            for device in ("lo", "eth0"):
                run("ip", "-n", name, "link", "set", device, "up")
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0")

    def link(self, *words: str) -> None:
        """Run ``ip link`` in the middle."""
        run("ip", "-n", self.middle, "link", *words)

    def prefix(self, node: int) -> list[str]:
        """Return the command that runs another one on a node."""
        return ["ip", "netns", "exec", self.names[node]]

    def options(self, node: int, port: int = 45871) -> list[str]:
        """Return the launcher's arguments on a node."""
        return ["--nnodes", "2", "--master", f"{ADDRESSES[0]}:{port}", "--rank", str(node), "--host", ADDRESSES[node]]

    def limit(self, megabits: float) -> None:
        """Limit the link's bandwidth, in both directions, in Mbit/s."""
        for node in (0, 1):
            run(*self.prefix(node), "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", f"{megabits}mbit",
                "burst", BURST, "latency", "400ms")  # fmt: skip

    def cut(self) -> None:
        """Cut the link: nothing arrives any more, and nobody is told."""
        for link in LINKS:
            self.link("set", link, "down")

    def break_connections(self) -> None:
        """End all TCP connections between the nodes, as a router that has lost them does."""
        run(*self.prefix(0), "ss", "--kill", "--tcp", "dst", ADDRESSES[1])

    @contextlib.contextmanager
    def relay(self, delay: float, loss: float = 0.0) -> Iterator[None]:
        """Deliver each packet after ``delay`` seconds, and some, a share of ``loss``, not at all."""
        for link in LINKS:
            self.link("set", link, "nomaster")
        relay = ["ip", "netns", "exec", self.middle, sys.executable, __file__]
        relays = [
            subprocess.Popen([*relay, source, target, str(delay), str(loss)]) for source, target in (LINKS, LINKS[::-1])
        ]
        try:
            yield
        finally:
            for relay in relays:
                relay.kill()
                relay.wait()
            for link in LINKS:
                with contextlib.suppress(subprocess.CalledProcessError):
                    self.link("set", link, "master", BRIDGE)


def pass_on(source: str, target: str, delay: float, loss: float) -> None:
    """Pass on the packets that arrive at one link to another one, for ever."""
    with contextlib.suppress(OSError):  # at once, even if workers keep all cores busy
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    receiving, sending = raw_socket(source), raw_socket(target)
    rng, waiting, count = random.Random(0), [], 0
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            with contextlib.suppress(OSError):
                sending.send(heapq.heappop(waiting)[2])
        # A socket's own timeout counts in milliseconds.
        if not select.select([receiving], [], [], max(0.0, waiting[0][0] - now) if waiting else None)[0]:
            continue
        packet, address = receiving.recvfrom(1 << 16)
        if address[2] != socket.PACKET_OUTGOING and rng.random() >= loss:
            count += 1
            heapq.heappush(waiting, (time.monotonic() + delay, count, packet))


def raw_socket(link: str) -> socket.socket:
    """Return a socket for all packets of a link."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    sock.bind((link, 0))
    return sock


@contextlib.contextmanager
def nodes() -> Iterator[Nodes]:
    """Make two nodes and remove them afterwards."""
    found = Nodes(f"pm{os.getpid() % 100000}")
    try:
        found.join()
        yield found
    finally:
        for name in (*found.names, found.middle):  # their links go with them
            with contextlib.suppress(subprocess.CalledProcessError):
                run("ip", "netns", "delete", name)


@functools.cache
def reason_against() -> str:
    """Return why two nodes cannot be made here; "" if they can."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    if not (shutil.which("ip") and shutil.which("tc")):
        return "network namespaces need the commands ip and tc (iproute2)"
    try:
        with nodes() as found:
            found.limit(100)
    except (subprocess.CalledProcessError, OSError) as error:
        told = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        return f"network namespaces are not allowed here ({told})"
    return ""


def run(*command: str) -> None:
    """Run a command; raise ``CalledProcessError`` with what it says."""
    subprocess.run(command, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    pass_on(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
