import CLinux

extension Supervisor {
    /// The supervisor that would start the calling process again. Call it before the process changes its directory or
    /// its root. Only the direct parent counts: a supervisor that started a shell which started us watches the shell.
    static func current(in proc: ProcFileSystem = ProcFileSystem()) -> Supervisor? {
        current(parent: getppid(), in: proc)
    }

    static func current(parent: Int32, in proc: ProcFileSystem) -> Supervisor? {
        guard let name = try? commandName(of: parent, in: proc) else { return nil }
        switch name {
        case "runsv": return serviceDirectory(of: parent, in: proc).map { .runit($0) }
        case "s6-supervise": return serviceDirectory(of: parent, in: proc).map { .s6($0) }
        default:
            guard isStartedBySystemd(parentName: name), let groups = try? proc.read("self/cgroup") else { return nil }
            return Supervisor(controlGroups: groups)
        }
    }

    /// Reads the unit that /proc/self/cgroup names, in cgroup v2 or in systemd's own hierarchy of v1:
    /// `0::/system.slice/web.service`, `1:name=systemd:/user.slice/user-7.slice/user@7.service/app.slice/web.service`.
    init?(controlGroups: ByteString) {
        for line in controlGroups.split(on: UInt8(ascii: "\n")) {
            let fields = line.split(on: UInt8(ascii: ":"))
            guard fields.count >= 3, fields[0] == "0" && fields[1].isEmpty || fields[1] == "name=systemd" else {
                continue
            }
            let path = line.dropFirst(fields[0].count + fields[1].count + 2)
            if let supervisor = Supervisor(controlGroupPath: path) {
                self = supervisor
                return
            }
        }
        return nil
    }

    /// The innermost service in a path is the one that systemd started.
    private init?(controlGroupPath path: ByteString) {
        var unit: ByteString?
        var isUser = false
        for part in path.split(on: UInt8(ascii: "/")) where part.hasSuffix(".service") {
            // A user's manager is a unit of the system; the units below it are its own.
            if part.hasPrefix("user@") && !isUser { isUser = true } else { unit = part }
        }
        guard let unit else { return nil }
        self = isUser ? .userSystemd(unit) : .systemd(unit)
    }
}

/// Since systemd 248, SYSTEMD_EXEC_PID names the process that systemd has started. Earlier versions set only variables
/// that all descendants inherit, so the parent must be systemd as well.
private func isStartedBySystemd(parentName: ByteString) -> Bool {
    if let pid = environmentVariable("SYSTEMD_EXEC_PID") { return pid.decimal == UInt64(getpid()) }
    let unit = environmentVariable("INVOCATION_ID") ?? environmentVariable("NOTIFY_SOCKET")
    return parentName == "systemd" && unit != nil
}

/// The caller's working directory if it is a service's; else that of the supervisor, because a run script may have
/// changed the caller's. (A log service is started in its own directory, which is not its runsv's.)
private func serviceDirectory(of supervisor: Int32, in proc: ProcFileSystem) -> ByteString? {
    if let directory = try? workingDirectory(), hasControl(directory) { return directory }
    guard let process = try? proc.open(process: supervisor), let directory = try? readLink("cwd", in: process),
        hasControl(directory)
    else { return nil }
    return directory
}

private func hasControl(_ directory: ByteString) -> Bool {
    let path: ByteString = "\(directory)/supervise/control"
    guard directory.hasPrefix("/"), let file = try? open(path, CLINUX_O_PATH), let found = try? status(of: file)
    else { return false }
    return found.isFIFO
}
