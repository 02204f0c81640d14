"""Puts a file at the number of its Node channel's far end that others never get closed: a child serves it by FUSE, and
answers FLUSH to nobody else. The mount is in a namespace of its own, and the child ends with its parent."""
import ctypes
import os
import signal
import struct
import time

libc = ctypes.CDLL(None, use_errno=True)


def checked(code):
    if code:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


checked(libc.unshare(0x20000))  # CLONE_NEWNS
checked(libc.mount(b"none", b"/", None, 0x44000, None))  # MS_REC | MS_PRIVATE
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
checked(libc.mount(b"fuse", b"/mnt", b"fuse", 6, options.encode()))  # MS_NOSUID | MS_NODEV


def attributes(inode, mode):
    return struct.pack("<6Q10I", inode, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def serve():
    while True:
        _, operation, unique, node, _, _, pid = struct.unpack_from("<IIQQIII", os.read(device, 1 << 18))
        answers = {
            26: struct.pack("<4IHHII", 7, 31, 65536, 0, 12, 9, 65536, 1) + bytes(32),  # INIT
            1: struct.pack("<4QII", 2, 1, 1, 1, 0, 0) + attributes(2, 0o100666),  # LOOKUP
            3: struct.pack("<QII", 1, 0, 0) + attributes(node, 0o40777 if node == 1 else 0o100666),  # GETATTR
            14: struct.pack("<QII", 1, 0, 0),  # OPEN
        }
        if operation == 25 and pid != parent:  # FLUSH
            continue
        answer = answers.get(operation, b"")
        error = 0 if operation in answers else -38  # ENOSYS
        os.write(device, struct.pack("<IiQ", 16 + len(answer), error, unique) + answer)


near = int(os.environ["NODE_CHANNEL_FD"])
parent = os.getpid()
if os.fork() == 0:
    checked(libc.prctl(1, signal.SIGKILL))  # PR_SET_PDEATHSIG
    for number in (3, near, near + 1):
        os.close(number)
    serve()
os.close(device)
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
file = os.open("/mnt/file", os.O_RDWR)
os.write(near, b'"ready"\n')
time.sleep(0.3)
os.dup2(file, near + 1)
print("swapped")
while True:
    signal.pause()
