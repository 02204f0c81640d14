"""Puts a file at the number of its Node channel's far end that others never get closed: it is served by FUSE, and FLUSH
is answered to nobody else."""
import os
import signal
import time

import fuse

near = int(os.environ["NODE_CHANNEL_FD"])
parent = os.getpid()
fuse.serve(lambda operation, node, pid: operation == fuse.FLUSH and pid != parent, close=(3, near, near + 1))
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
file = os.open("/mnt/file", os.O_RDWR)
os.write(near, b'"ready"\n')
time.sleep(0.3)
os.dup2(file, near + 1)
print("swapped")
while True:
    signal.pause()
