/// Makes the text of `--help`, or of one of its pages. Each fits a screen of 24 lines and 80 columns.
func help(_ topic: Option.Topic?, _ verb: Verb? = nil) -> ByteString {
    var page = verb.map(usage(of:)) ?? ByteString()
    guard let topic else { return verb == nil ? overview() : page }
    if verb != nil { page.append("\n") }
    if topic == .deploy { page = "Usage: reuseport-exec deploy [APP] [options] [--] command [arg...]\n\n" }
    for option in Option.all where option.topic == topic {
        page.appendEntry("  \(withValue(option))", ByteString(stringLiteral: option.summary))
    }
    if topic == .dialects { page.append(dialects()) }
    page.append(text(topic))
    return page
}

/// The text below the options of a topic.
private func text(_ topic: Option.Topic) -> StaticString {
    switch topic {
    case .sockets: socketHelp
    case .files: fileHelp
    case .privileges: privilegeHelp
    case .environment: environmentHelp
    case .dialects: ""
    case .apps: appHelp
    case .retire: retireHelp
    case .memory: memoryHelp
    case .deploy: deployHelp
    case .config: configHelp
    case .verbs: verbHelp
    case .codes: codeHelp
    }
}

private func overview() -> ByteString {
    var page = ByteString(stringLiteral: usage)
    var line = ByteString()
    var summary = ByteString()
    for row in VerbRow.all {
        let names = joined(row.names, by: ", ")
        guard let start = lineStart(row.verb) else {
            line.append(", \(names)")
            continue
        }
        if !line.isEmpty { page.appendEntry(line, summary) }
        line = "\(start)\(names)"
        summary = row.verb == .wait ? "" : ByteString(stringLiteral: row.summary)
    }
    page.appendEntry(line, summary)
    let topics = joined(Option.Topic.allCases.map { $0.name }, by: " ")
    page.append("\n")
    let last: ByteString = """
        Each verb has a page, help VERB, and options have one for each topic: help \
        \(topics). The manual: man reuseport-exec, man reuseport-exec-deploy.
        """
    page.appendLines(last.split(on: UInt8(ascii: " ")))
    return page
}

/// The beginning of a verb's line: its group, or blanks. Nil if the verb stands in the line of the one before.
private func lineStart(_ verb: Verb) -> ByteString? {
    switch verb {
    case .deploy: "Deploy  "
    case .list: "Look    "
    case .scale: "Change  "
    case .enable: "Boot    "
    case .retire: "End     "
    case .wait: "Script  "
    case .resume, .disable, .boot, .check, .next, .count, .export, .finish: nil
    default: "        "
    }
}

/// The page of a verb: how it is written, and its options.
private func usage(of verb: Verb) -> ByteString {
    let row = verb.row
    var page: ByteString =
        "Usage: reuseport-exec \(start(row)) [options]\n       \(ByteString(stringLiteral: row.summary))\n\n"
    for option in Option.all where row.takes(option) {
        page.appendEntry("  \(withValue(option))", ByteString(stringLiteral: option.verbSummary ?? option.summary))
    }
    let note = ByteString(stringLiteral: row.note)
    if !note.isEmpty { page.append("\n\(note)\n") }
    return page
}

/// `--socket NAME:ADDRESS[,OPTION...]`
private func withValue(_ option: Option) -> ByteString {
    option.value.map { "\(option.text) \(ByteString(stringLiteral: $0))" } ?? option.text
}

private func dialects() -> ByteString {
    var text: ByteString = "\n"
    for dialect in Dialect.allCases {
        let isDefault = dialect == .systemd
        text.appendEntry(isDefault ? "\(dialect.name) (default)" : dialect.name, dialect.summary, column: 19)
    }
    text.appendEntry("Others", "{fd:NAME} in the command: --fd {fd:http}", column: 19)
    return text
}

/// `scale APP N`
private func start(_ row: VerbRow) -> ByteString {
    var text = joined(row.names, by: ", ")
    switch row.app {
    case .never: break
    case .optional: text.append(" [APP]")
    case .always: text.append(" APP")
    }
    if row.operand == .copies { text.append(" N") }
    if let key = row.required { text.append(" \(withValue(Option.of(key)))") }
    return text
}

extension ByteString {
    /// Adds a line with a summary in one column, or on the next line if the entry is too long for that.
    @inline(never)
    fileprivate mutating func appendEntry(_ entry: ByteString, _ summary: ByteString, column: Int = 33) {
        var line = entry
        if line.count >= column || summary.isEmpty {
            append("\(line)\n")
            if summary.isEmpty { return }
            line = ""
        }
        while line.count < column { line.append(UInt8(ascii: " ")) }
        append("\(line)\(summary)\n")
    }

    /// Adds words in lines of at most 80 columns.
    fileprivate mutating func appendLines(_ words: [ByteString]) {
        var line = ByteString()
        for word in words {
            if line.isEmpty {
                line = word
            } else if line.count + 1 + word.count <= 80 {
                line.append(" \(word)")
            } else {
                append("\(line)\n")
                line = word
            }
        }
        append("\(line)\n")
    }
}

private let usage: StaticString = """
    Usage: reuseport-exec deploy [APP] [options] [--] command [arg...]
           reuseport-exec VERB [APP] [options]
           reuseport-exec [options] -- command [arg...]
    Hands a busy port to the next version of a server without losing a connection.


    """

private let socketHelp: StaticString = """

    ADDRESS            0.0.0.0:80  [::]:443 (IPv6 only)  *:80 (IPv4 and IPv6)
                       127.0.0.1:0 (a free port)  [fe80::1%eth0]:80
                       udp:0.0.0.0:53  unix:/run/web/{copy}.sock
                       Quote * and [ in a shell: 'http:*:80'
    OPTION, all sockets
      fd=N             the descriptor's number (default: from 3, in order)
    OPTION, tcp and udp
      freebind         bind even if the address does not exist yet
      bind-dev=IF      take traffic of interface IF only
      nodelay          tcp: TCP_NODELAY on accepted connections
    OPTION, tcp and unix
      backlog=N        connections waiting (default: net.core.somaxconn)
      listen=no        bind only
    OPTION, unix
      mode=OCTAL owner=USER group=GROUP
                       to connect, a client needs the right to write: give a proxy
                       that by mode=660,group=www-data

    """

private let fileHelp: StaticString = """

    FLAGS, with commas between; r if none are given
      r w rw a         read, write, both, append
      create           make the file if it is not there (0666 less the umask)
      excl             with create: fail if it is there
      trunc            empty it, as the last thing before the command runs

    Files are opened with the caller's rights, before --user takes effect.
    A path with a colon needs its flags written: key:/a:b:r
    Symbolic links are followed only if root or the caller made them.
    All other descriptors above 2 that the caller left open are closed.

    """

private let privilegeHelp: StaticString = """

    USER and GROUP are names or numbers. A number without an entry in the user
    database needs its group: --user 4711:4711. Groups come from the database.
    HOME, USER, LOGNAME and SHELL follow --user. Capabilities are given up,
    and the way back to root is tried and must fail.

    Order: bind, open files, chroot, groups, group, user, check, chdir, umask,
    no_new_privs, descriptors, environment, exec.

    """

private let environmentHelp: StaticString = """

    {fd:NAME} {addr:NAME} {port:NAME} {path:NAME} stand for what the socket or
    file NAME has, {copy} for the copy's number, in VALUE and in the command's
    arguments. {{ is a brace.

    Variables that announce other programs' descriptors, such as LISTEN_FDS, are
    removed; the manual names them.

    """

private let appHelp: StaticString = """

    SPEC  accept, none       a connection is taken from each accept queue; at once
          http:NAME:/path    socket NAME answers with 2xx or 3xx (https: by curl)
          notify, fd:N, ipc  READY=1 comes; a newline at N; process.send('ready')
          exec:COMMAND, ack  the shell runs it with success; einhorn's worker:ack
    ebpf needs root and loses nothing. cbpf needs no rights; what is still in its
    handshake 1.5 s after the cutover may be lost. auto takes the first it can.
    TIME is 500ms, 30s, 5m or 1h. For supervisors and shells: --help verbs

    """

private let retireHelp: StaticString = """

    When the new generation has taken over, the old one is told to stop: its
    supervisor (runit, s6, systemd) not to start it again, then the copy by
    its stop signal, or message: shutdown, stop,quit, or JSON. It has time until
    --stop-timeout to close its listeners; then it is killed. One that has closed
    them may finish what it is at: the newest --keep-retired generations live on,
    older ones are ended at the next handoff.

    """

private let memoryHelp: StaticString = """

    SIZE is 512K, 64M, 1G or a number of bytes. They go with --app, and use
    control groups: version 2, or version 1 where 2 has no memory controller.
    Each copy gets a group of its own, in one of the app's; both are removed when
    they are empty. What the kernel ends is shown by state with its reason, and
    started again by its supervisor.
    In a systemd unit write MemoryMax= instead.

    """

private let deployHelp: StaticString = """

    Starts --copies N of a new generation, hands over when all are ready, and ends
    the old one. 0: it serves. 1: it has failed, and the old one serves on. Without
    a command it does as the last time, with the options given instead; so does
    migrate with one. Output: /var/log/reuseport-exec/APP.log. {copy} is a number.
    See help sockets, privileges, dialects (--pass), apps (--ready), retire.

      reuseport-exec deploy web --socket http:0.0.0.0:80 --copies 4 -- node app.js
      reuseport-exec migrate web
      reuseport-exec deploy --config /etc/web.conf --on runit:/etc/service

    """

private let verbHelp: StaticString = """

    They go with verbs. Each verb has a page, help VERB, and --help shows them all.

    runit, as ./check and ./finish of the service web-green:
      exec reuseport-exec check web --generation green
      exec reuseport-exec finish web --generation green -- "$@"

    """

private let configHelp: StaticString = """

    FILE has lines KEY: VALUE, KEY being a long option without its hyphens, or
    command (once; quoted as in a shell). Lines that start with # are comments.
    Relative paths are relative to FILE, or to what relative-to: says. The command
    line wins. deploy and verbs read FILE as well: app: or its name is the app.
    The command starts where you are, unless chdir: says where.

      socket: http:0.0.0.0:80
      user: app
      no-new-privs:
      command: node app.js

    niagra's lines are read as well: socket: http 4 0.0.0.0 80 511

    """

private let codeHelp: StaticString = """
      0    done
      1    a negative answer: not live, has failed, not registered
      100  the command line or the configuration file is wrong
      111  a system call failed
      126  the command cannot be executed
      127  the command was not found
    Once the command runs, the exit code is its own.

    """
