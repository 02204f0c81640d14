import CLinux

/// Whether a variable describes descriptors that an earlier process passed on, and would mislead the target.
func isStale(_ name: ByteString) -> Bool {
    name == "LISTEN_PIDFDID" || name.hasPrefix("NODE_CHANNEL_") || Dialect.allCases.contains { $0.sets(name) }
}

/// The target's environment as `NAME=VALUE` entries.
///
/// The dialects' variables replace those of `--env`, these the ones that follow from `--user`, and these the caller's.
func buildEnvironment(
    _ plan: Plan, caller: [ByteString], addresses: [SocketAddress], announcement: Announcement
) -> [ByteString] {
    var replaced: [ByteString] = []
    var added: [ByteString] = []
    func set(_ name: ByteString, _ value: ByteString?) {
        if replaced.contains(name) { return }
        replaced.append(name)
        if let value { added.append("\(name)=\(value)") }
    }
    for name in announcement.removed { set(name, nil) }
    // The first value of a name stays.
    for (name, value) in announcement.variables { set(name, value) }
    for (name, value) in plan.variables { set(name, value.filled(addresses, copy: plan.copy)) }
    if plan.identity.user != nil {
        let account = plan.identity.account
        set("HOME", account?.home ?? "/")
        set("USER", account?.name)
        set("LOGNAME", account?.name)
        set("SHELL", account?.shell)
    }
    var result: [ByteString] = []
    for entry in caller {
        // An entry without '=' has no name that could be replaced.
        guard let name = entry.cut(at: UInt8(ascii: "="))?.head else {
            if !plan.clearsEnvironment { result.append(entry) }
            continue
        }
        if plan.clearsEnvironment && !plan.keptVariables.contains(name) { continue }
        if isStale(name) || replaced.contains(name) { continue }
        result.append(entry)
    }
    return preloading(plan.library, in: result + added)
}

/// Puts the library before those that are preloaded anyway, which get the calls that it does not handle.
private func preloading(_ library: ByteString?, in environment: [ByteString]) -> [ByteString] {
    guard var list = library else { return environment }
    var result: [ByteString] = []
    for entry in environment {
        if entry.hasPrefix("LD_PRELOAD=") { list.append(":\(entry.dropFirst(11))") } else { result.append(entry) }
    }
    result.append("LD_PRELOAD=\(list)")
    return result
}
