"""Stands in for systemctl and its manager where no systemd runs: as much of both as units of deploy need.

Its state is in /run/stand-in, which is to be a file system of the test's own, as /run/systemd/system is.
"""
import os
import select
import signal
import socket
import struct
import sys
import time

UNITS = b'/run/systemd/system'
STATE = b'/run/stand-in'


def split(line):
    """The words of a command line, by the rules of systemd.service(5)."""
    words, word, quote, i = [], None, None, 0
    while i < len(line):
        c = line[i:i + 1]
        i += 1
        if c == b'\\':
            e = line[i:i + 1]
            i += 1
            if e == b'x':
                c, i = bytes([int(line[i:i + 2], 16)]), i + 2
            else:
                c = {b'n': b'\n', b't': b'\t', b's': b' ', b'"': b'"', b"'": b"'", b'\\': b'\\'}[e]
            word = (word or b'') + c
        elif quote is None and c in b' \t':
            if word is not None:
                words.append(word)
            word = None
        elif quote is None and c in b'"\'':
            quote, word = c, word or b''
        elif c == quote:
            quote = None
        else:
            word = (word or b'') + c
    assert quote is None, 'a quote is open'
    if word is not None:
        words.append(word)
    return [expand(word) for word in words]


def expand(word):
    result, i = b'', 0
    while i < len(word):
        c = word[i:i + 1]
        if c in b'%$':
            assert word[i + 1:i + 2] == c, 'a specifier or a variable'
            i += 1
        result += c
        i += 1
    return result


def settings(unit):
    found = {}
    with open(os.path.join(UNITS, unit), 'rb') as file:
        for line in file:
            key, sign, value = line.rstrip(b'\n').partition(b'=')
            if sign and not line.startswith(b'#'):
                found[key.decode()] = value
    return found


def path(unit, kind):
    return os.path.join(STATE, unit + b'.' + kind)


def write(unit, kind, text):
    with open(path(unit, kind) + b'.new', 'wb') as file:
        file.write(text)
    os.rename(path(unit, kind) + b'.new', path(unit, kind))


def read(unit, kind):
    try:
        with open(path(unit, kind), 'rb') as file:
            return file.read()
    except FileNotFoundError:
        return None


def group(unit):
    """The unit's control group, by which it is known who belongs to it; None where none can be made."""
    for root in (b'/sys/fs/cgroup/systemd', b'/sys/fs/cgroup'):
        if os.access(os.path.join(root, b'cgroup.procs'), os.W_OK):
            return os.path.join(root, b'stand-in.' + os.path.basename(os.environb[b'TEST_STAGE']), unit)


def spawn(command, unit, environment, directory):
    pid = os.fork()
    if pid == 0:
        if group(unit):
            os.makedirs(group(unit), exist_ok=True)
            with open(os.path.join(group(unit), b'cgroup.procs'), 'w') as file:
                file.write(str(os.getpid()))
        environment[b'SYSTEMD_EXEC_PID'] = b'%d' % os.getpid()
        out = os.open(path(unit, b'log'), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.chdir(directory)
        try:
            os.execve(command[0], command, {**os.environb, **environment})
        finally:
            os._exit(203)
    return pid


def manage(unit):
    """The manager's part, for one unit, until it is down for good."""
    while True:
        unit_settings = settings(unit)
        directory = expand(unit_settings['WorkingDirectory'])
        notify = path(unit, b'notify')
        if os.path.exists(notify):
            os.unlink(notify)
        messages = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        messages.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        messages.bind(notify)
        main = spawn(split(unit_settings['ExecStart']), unit, {b'NOTIFY_SOCKET': notify}, directory)
        write(unit, b'main', b'%d' % main)
        is_told = False
        while True:
            if select.select([messages], [], [], 0.02)[0]:
                text, [(_, _, credentials)], _, _ = messages.recvmsg(4096, socket.CMSG_SPACE(12))
                sender = struct.unpack('iII', credentials)[0]
                lines = text.split(b'\n')
                if b'READY=1' in lines and (sender == main or unit_settings.get('NotifyAccess') == b'all'):
                    assert b'MAINPID=%d' % main in lines
                    write(unit, b'state', b'active')
            if not is_told and read(unit, b'stop') is not None:
                is_told = True
                write(unit, b'state', b'deactivating')
                os.kill(main, signal.Signals['SIG' + unit_settings.get('KillSignal', b'TERM').decode()])
            pid, status = os.waitpid(main, os.WNOHANG)
            if pid:
                write(unit, b'main', b'')
                break
        messages.close()
        if os.WIFEXITED(status):
            code = os.WEXITSTATUS(status)
            kind, value, is_clean = b'exited', b'%d' % code, code == 0
        else:
            number = os.WTERMSIG(status)
            kind, value = b'killed', signal.Signals(number).name[3:].encode()
            is_clean = number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE)
        after = spawn(
            split(unit_settings['ExecStopPost'][1:]), unit, {b'EXIT_CODE': kind, b'EXIT_STATUS': value}, directory)
        os.waitpid(after, 0)
        final = unit_settings.get('RestartPreventExitStatus', b'').split()
        is_wanted = {b'always': True, b'on-failure': not is_clean}[unit_settings['Restart']]
        if not is_wanted or is_told or read(unit, b'stop') is not None or value in final:
            write(unit, b'state', b'inactive' if is_clean or is_told else b'failed')
            return
        write(unit, b'state', b'activating')


def start(unit):
    if os.stat(os.path.join(UNITS, unit)).st_mtime_ns > os.stat(os.path.join(STATE, b'reloaded')).st_mtime_ns:
        sys.exit('%s has changed: daemon-reload' % unit.decode())
    if read(unit, b'state') in (b'active', b'activating'):
        return
    if os.path.exists(path(unit, b'stop')):
        os.unlink(path(unit, b'stop'))
    write(unit, b'state', b'activating')
    if os.fork() == 0:
        os.setsid()
        manage(unit)
        os._exit(0)


def main(words):
    if words[0] == b'split':
        sys.stdout.buffer.write(b''.join(word + b'\0' for word in split(words[1])))
        return
    os.makedirs(STATE, exist_ok=True)
    options = [word for word in words if word.startswith(b'-')]
    verb, *units = [word for word in words if not word.startswith(b'-')]
    if verb == b'daemon-reload':
        with open(os.path.join(STATE, b'reloaded'), 'wb'):
            pass
    elif verb == b'start':
        assert b'--no-block' in options
        for unit in units:
            start(unit)
    elif verb == b'stop':
        for unit in units:
            write(unit, b'stop', b'')
        while b'--no-block' not in options and any(
                read(unit, b'state') not in (None, b'inactive', b'failed') for unit in units):
            time.sleep(0.02)
    elif verb == b'kill':
        assert b'--kill-who=main' in options and b'--signal=TERM' in options
        for unit in units:
            if read(unit, b'state') in (b'active', b'activating') and read(unit, b'main'):
                os.kill(int(read(unit, b'main')), signal.SIGTERM)
    elif verb == b'show':
        # Behind --property come the names of properties, then the unit.
        known = {b'ActiveState': read(units[1], b'state') or b'inactive', b'Job': b''}
        for name in units[0].split(b','):
            if name in known:
                value = known[name]
            else:
                value = settings(units[1]).get(name.decode(), b'')
            if name == b'KillSignal':
                value = b'%d' % signal.Signals['SIG' + (value or b'TERM').decode()]
            print('%s=%s' % (name.decode(), value.decode()))
    elif verb != b'reset-failed':
        sys.exit('no such verb')


main([os.fsencode(word) for word in sys.argv[1:]])
