#!/usr/bin/env python3
"""press_tab.py LINE WORD... -- SHELL [ARGUMENT...]: writes each line to a shell in a terminal, with a TAB behind it.

Waits until the word is shown, then prints on a line all words that the terminal shows. The prompt ends with `READY>`.
"""
import fcntl, os, pty, re, select, struct, sys, termios, time

cut = sys.argv.index('--')
lines, shell = sys.argv[1:cut], sys.argv[cut + 1:]
child, terminal = pty.fork()
if child == 0:
    os.execv(shell[0], shell)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 250, 200, 0, 0))
deadline = time.monotonic() + 35


rest = b''


def read_until(mark):
    global rest
    while mark not in rest:
        if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            sys.exit(f'timed out waiting for {mark}: {rest[-2000:]}')
        rest += os.read(terminal, 65536)
    seen, _, rest = rest.partition(mark)
    return seen + mark


for line, word in zip(lines[::2], lines[1::2]):
    read_until(b'READY>')
    os.write(terminal, line.encode() + b'\t')
    text = read_until(word.encode())
    # The line is removed. What was typed has quotes in the mark.
    os.write(terminal, b"\x15echo EN''D\r")
    text = (text + read_until(b'END')).decode(errors='replace')
    text = re.sub(r'\x1b(\[[0-9;?>]*[a-zA-Z]|\][^\x07]*\x07|[=>()][AB0]?)', ' ', text)
    print(*sorted(set(text.split())), flush=True)
