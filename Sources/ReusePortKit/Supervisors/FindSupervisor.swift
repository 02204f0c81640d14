import CLinux

extension Supervisor {
    /// Who supervises the calling process: who would start it again. To be asked before it changes its directory or
    /// its root. Only the direct parent counts: who starts a shell that starts us watches the shell.
    static func current(in proc: ProcFileSystem = ProcFileSystem()) -> Supervisor? {
        current(parent: getppid(), in: proc)
    }

    static func current(parent: Int32, in proc: ProcFileSystem) -> Supervisor? {
        guard let name = try? commandName(of: parent, in: proc) else { return nil }
        switch name {
        case "runsv": return serviceDirectory(of: parent, in: proc).map { .runit($0) }
        case "s6-supervise": return serviceDirectory(of: parent, in: proc).map { .s6($0) }
        default:
            // Since systemd 248 it says which process it has started; the other variables are inherited by all.
            let isOurs = environmentVariable("SYSTEMD_EXEC_PID").map { $0.decimal == UInt64(getpid()) }
            let unit = environmentVariable("INVOCATION_ID") ?? environmentVariable("NOTIFY_SOCKET")
            let isChild = name == "systemd" && unit != nil
            guard isOurs ?? isChild, let groups = try? proc.read("self/cgroup") else { return nil }
            return Supervisor(controlGroups: groups)
        }
    }

    /// The unit that /proc/self/cgroup names, in cgroup v2 or in systemd's own hierarchy of v1:
    /// `0::/system.slice/web.service`, `1:name=systemd:/user.slice/user-7.slice/user@7.service/app.slice/web.service`.
    init?(controlGroups: ByteString) {
        for line in controlGroups.split(on: UInt8(ascii: "\n")) {
            let fields = line.split(on: UInt8(ascii: ":"))
            guard fields.count >= 3, fields[0] == "0" && fields[1].isEmpty || fields[1] == "name=systemd" else {
                continue
            }
            var unit: ByteString?
            var isUser = false
            let path = line.dropFirst(fields[0].count + fields[1].count + 2)
            for part in path.split(on: UInt8(ascii: "/")) where part.hasSuffix(".service") {
                // A user's manager is a unit of the system; what is below is its own.
                if part.hasPrefix("user@") && !isUser { isUser = true } else { unit = part }
            }
            if let unit {
                self = isUser ? .userSystemd(unit) : .systemd(unit)
                return
            }
        }
        return nil
    }
}

/// Our working directory if it is a service's; else the supervisor's own, in case the run script has changed it. (A
/// log's directory is not its runsv's, but is where it is started.)
private func serviceDirectory(of supervisor: Int32, in proc: ProcFileSystem) -> ByteString? {
    if let directory = try? workingDirectory(), hasControl(directory) { return directory }
    guard let process = try? proc.open(process: supervisor), let directory = try? readLink("cwd", in: process),
        hasControl(directory)
    else { return nil }
    return directory
}

private func hasControl(_ directory: ByteString) -> Bool {
    let path: ByteString = "\(directory)/supervise/control"
    guard directory.hasPrefix("/"), let file = try? open(path, CLINUX_O_PATH), let facts = try? status(of: file)
    else { return false }
    return facts.isFIFO
}
