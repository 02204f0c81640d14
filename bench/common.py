"""What the benchmarks share."""
import ctypes
import fcntl
import os
import socket
import struct


class Problem(Exception):
    """A benchmark cannot go on; the text says why."""


def enter_network(settings={}):
    """Moves this process, and all that it starts, into a network namespace with a loopback interface. Needs root.

    `settings` are written below /proc/sys/net/ipv4.
    """
    if os.geteuid() != 0:
        return
    clone_newnet, siocsifflags, iff_up = 0x40000000, 0x8914, 1
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(clone_newnet) != 0:
        raise Problem(f"unshare: {os.strerror(ctypes.get_errno())}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, siocsifflags, struct.pack("16sh14x", b"lo", iff_up))
    for name, value in settings.items():
        with open(f"/proc/sys/net/ipv4/{name}", "w") as file:
            file.write(value)
