"""adopting.py CODE: runs CODE, which binds in all kinds of ways and prints what it got, with these words."""
import ctypes
import errno
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

HERE = os.path.abspath(__file__)
SO_COOKIE = 57
libc = ctypes.CDLL(None, use_errno=True)

# What the library is told, taken apart as it does that.
INHERITED = []
rest = os.environ.get("REUSEPORT_EXEC_ADOPT", "")
while rest:
    fd, cookie, backlog, length, rest = rest.split(":", 4)
    INHERITED.append((int(fd), int(cookie), rest[:int(length)]))
    rest = rest[int(length) + 1:]
FD = INHERITED[0][0] if INHERITED else None


def tcp4():
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def tcp6():
    return socket.socket(socket.AF_INET6, socket.SOCK_STREAM)


def udp4():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def udp6():
    return socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)


def sharing(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return s


def only6(s):
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return s


def mptcp():
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    except OSError:
        return tcp4()


def unix(kind=socket.SOCK_STREAM):
    return socket.socket(socket.AF_UNIX, kind)


def cookie(fd):
    try:
        return struct.unpack("Q", socket.socket(fileno=os.dup(fd)).getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]
    except OSError:
        return None


def which(s):
    """The place of the inherited socket that this one is; None for the program's own."""
    mine = cookie(s if isinstance(s, int) else s.fileno())
    return next((index for index, (_, theirs, _) in enumerate(INHERITED) if theirs == mine), None)


def attempt(call, *arguments):
    """What a call answers, or the name of its error."""
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def bound(s, *address):
    """The place of what a new socket becomes, or why it becomes nothing."""
    failure = attempt(s.bind, address[0] if len(address) == 1 else address)
    return failure or which(s)


def raw_bind(fd, address):
    """bind(2) without Python between: 0, or the name of its error."""
    return 0 if libc.bind(fd, address, len(address)) == 0 else errno.errorcode[ctypes.get_errno()]


def address4(host, port):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)


def apart(function):
    """Runs it in a child, so that nothing remains of it here, and answers what it answers."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = str(function())
        except BaseException as error:
            answer = repr(error)
        os.write(write, answer.encode())
        os._exit(0)
    os.close(write)
    answer = b"".join(iter(lambda: os.read(read, 4096), b""))
    os.close(read)
    os.waitpid(child, 0)
    return answer.decode()


sys.stdout.reconfigure(line_buffering=True)
exec(sys.argv[1])
