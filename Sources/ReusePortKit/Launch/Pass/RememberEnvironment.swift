/// What of an environment is recorded with a deploy, for copies that are started later from other environments.
///
/// With `--clear-env` these are the variables that are kept, by name alone if they are not set: secrets that no copy
/// gets are not written down. Without it all are, but for those that describe the process that deploys, or its terminal.
func recorded(_ environment: [ByteString], _ options: LaunchOptions) -> [ByteString] {
    if options.clearsEnvironment {
        return options.keptVariables.map { name in environment.first { $0.hasPrefix("\(name)=") } ?? name }
    }
    let names: ByteString =
        "NOTIFY_SOCKET INVOCATION_ID JOURNAL_STREAM SYSTEMD_EXEC_PID WATCHDOG_PID WATCHDOG_USEC TERM COLUMNS NO_COLOR"
    let own = names.split(on: UInt8(ascii: " "))
    return environment.filter { entry in
        let name = variableName(entry)
        return !name.isEmpty && !own.contains(name) && !isStale(name)
    }
}

/// The names of the variables that only one of two environments has, or that have another value there. What differs in
/// each session of a shell is passed over.
func differences(_ one: [ByteString], _ other: [ByteString]) -> [ByteString] {
    let passedOver: [ByteString] = ["_=", "SHLVL=", "PWD=", "OLDPWD=", "SSH_", "SUDO_", "XDG_SESSION_"]
    var names: [ByteString] = []
    for entry in one.filter({ !other.contains($0) }) + other.filter({ !one.contains($0) }) {
        let name = variableName(entry)
        if !names.contains(name), !passedOver.contains(where: { entry.hasPrefix($0) }) { names.append(name) }
    }
    return names.ordered { $0.precedes($1) }
}

/// The name in `NAME=VALUE`, or in an entry that is a name alone.
func variableName(_ entry: ByteString) -> ByteString {
    entry.cut(at: UInt8(ascii: "="))?.head ?? entry
}
