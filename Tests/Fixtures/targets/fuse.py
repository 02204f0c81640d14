"""A file system of one file, /mnt/file, in a mount namespace of the caller's own, served by a child of the caller."""
import ctypes
import os
import signal
import struct

libc = ctypes.CDLL(None, use_errno=True)
FLUSH, GETATTR = 25, 3


def checked(code):
    if code:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def attributes(inode, mode):
    return struct.pack('<6Q10I', inode, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(device, is_silent, seconds_valid):
    _, operation, unique, node, _, _, pid = struct.unpack_from('<IIQQIII', os.read(device, 1 << 18))
    if is_silent(operation, node, pid):
        return
    answers = {
        26: struct.pack('<4IHHII', 7, 31, 65536, 0, 12, 9, 65536, 1) + bytes(32),  # INIT
        1: struct.pack('<4QII', 2, 1, seconds_valid, seconds_valid, 0, 0) + attributes(2, 0o100666),  # LOOKUP
        GETATTR: struct.pack('<QII', seconds_valid, 0, 0) + attributes(node, 0o40777 if node == 1 else 0o100666),
        14: struct.pack('<QII', 1, 0, 0),  # OPEN
    }
    text, error = answers.get(operation, b''), 0 if operation in answers else -38  # ENOSYS
    os.write(device, struct.pack('<IiQ', 16 + len(text), error, unique) + text)


def serve(is_silent, close=(), seconds_valid=1):
    """Mounts it; answers the child's pid. What is_silent(operation, node, pid) says has no answer, ever."""
    checked(libc.unshare(0x20000))  # CLONE_NEWNS
    checked(libc.mount(b'none', b'/', None, 0x44000, None))  # MS_REC | MS_PRIVATE
    device = os.open('/dev/fuse', os.O_RDWR)
    options = f'fd={device},rootmode=40000,user_id=0,group_id=0'
    checked(libc.mount(b'fuse', b'/mnt', b'fuse', 6, options.encode()))  # MS_NOSUID | MS_NODEV
    child = os.fork()
    if child == 0:
        checked(libc.prctl(1, signal.SIGKILL))  # PR_SET_PDEATHSIG
        # Whoever waits for an answer in vain goes on when there is nobody to give one.
        signal.alarm(30)
        for number in close:
            os.close(number)
        while True:
            answer(device, is_silent, seconds_valid)
    os.close(device)
    return child
