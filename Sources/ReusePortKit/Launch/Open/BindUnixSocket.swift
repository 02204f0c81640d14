import CLinux

/// Binds a Unix socket to a path that has the right mode from the first moment, and its owner before it listens.
///
/// The directory is held open meanwhile, so that the directory that is checked is the one that is used. If a stale path
/// may be replaced, the directory is locked, so that only one of two launchers replaces it.
func bindUnixSocket(
    _ plan: SocketPlan, path: ByteString, leftovers: inout Leftovers, takesStale: Bool
) throws(Failure) -> BoundSocket {
    let folder = try openTrustedDirectory(directory(of: path), plan)
    let name = lastComponent(of: path)
    if takesStale {
        // Anybody who may read the directory can hold this lock, so it is not taken for an app's own names, which no
        // other launcher uses.
        try lock(folder, plan)
        try clearStalePath(name, in: folder, path: path, plan)
    }

    let socket = try step("create", "socket \(plan.name)", remedy: descriptorRemedy) { () throws(Errno) in
        try ReusePortKit.socket(family: AF_UNIX, type: Int32(SOCK_STREAM.rawValue))
    }
    try step("bind", plan.object, remedy: bindRemedy) { () throws(Errno) in
        try bindWithMode(socket, to: plan.address, mode: plan.mode)
    }
    let entry = try openOwnEntry(name, in: folder, plan)
    let file = try step("examine", plan.object) { () throws(Errno) in try status(of: entry) }
    leftovers.append(Leftover(directory: folder, name: name, file: file))
    if plan.owner != nil || plan.group != nil {
        try step(
            "change the owner of", plan.object, remedy: { $0 == .notPermitted ? "only root gives files away" : nil }
        ) {
            () throws(Errno) in
            try changeOwner(of: entry, owner: plan.owner, group: plan.group)
        }
    }
    try listenIfWanted(socket, plan)
    // The directory stays open for cleaning up, and the next socket may be in it too.
    leftovers.unlockLast()
    return BoundSocket(descriptor: socket, address: plan.address)
}

/// Opens the directory of a socket, and refuses one in which everybody may replace files.
private func openTrustedDirectory(_ path: ByteString, _ plan: SocketPlan) throws(Failure) -> Descriptor {
    let folder = try step("open", "directory \(path) of socket \(plan.name)") { () throws(Errno) in
        try open(path, O_RDONLY | O_DIRECTORY)
    }
    let info = try step("examine", "directory \(path)") { () throws(Errno) in try status(of: folder) }
    let isSticky = info.mode & 0o1000 != 0
    if info.mode & 0o002 != 0 && !isSticky {
        throw Failure(
            .system, "bind", plan.object, "everybody may replace files in \(path)", remedy: "chmod o-w or +t it")
    }
    return folder
}

/// flock(2) on the directory, until the socket listens, or until the process ends after a failure.
private func lock(_ folder: borrowing Descriptor, _ plan: SocketPlan) throws(Failure) {
    // Launchers hold it for less than a millisecond; a process that holds it longer is stopped or malicious. The kernel
    // has no event for a free lock.
    let deadline = Deadline(after: Milliseconds(5000))
    var pause = Pause()
    while flock(folder.number, LOCK_EX | LOCK_NB) != 0 {
        let reason = Errno.current
        guard reason.rawValue == EWOULDBLOCK || reason == .interrupted, !deadline.hasPassed else {
            throw Failure("lock", "the directory of \(plan.object)", reason)
        }
        pause.wait(until: deadline)
    }
}

/// Removes a socket without a listener, and refuses everything else that is there.
private func clearStalePath(
    _ name: ByteString, in folder: borrowing Descriptor, path: ByteString, _ plan: SocketPlan
) throws(Failure) {
    guard try presentSocket(name, in: folder, plan) != nil else { return }
    try refuseIfLive(path, name, in: folder, plan)
    try step("remove the stale", "\(path)") { () throws(Errno) in
        // Another process may have removed it just now.
        if let reason = reason({ () throws(Errno) in try unlink(name, in: folder) }), reason != .noEntry {
            throw reason
        }
    }
}

/// The socket that has the name already; nil if there is none. Refuses anything else.
private func presentSocket(
    _ name: ByteString, in folder: borrowing Descriptor, _ plan: SocketPlan
) throws(Failure) -> FileStatus? {
    let present: FileStatus
    do throws(Errno) {
        present = try status(of: name, in: folder)
    } catch {
        if error == .noEntry { return nil }
        throw Failure("examine", plan.object, error)
    }
    guard present.isSocket else {
        let what: ByteString =
            present.isSymbolicLink
            ? "a symbolic link" : present.isDirectory ? "a directory" : "a file that is no socket"
        throw Failure(.system, "bind", plan.object, "\(what) is there", remedy: "remove it or choose another path")
    }
    return present
}

/// Refuses a path that rename(2) must not replace: only a socket without a listener may be, or one of `ours`.
func refuseForeignPath(_ path: ByteString, _ plan: SocketPlan, ours: [UInt64]) throws(Failure) {
    let folder = try openTrustedDirectory(directory(of: path), plan)
    let name = lastComponent(of: path)
    guard let present = try presentSocket(name, in: folder, plan) else { return }
    let file = UnixSocketFile(device: present.device, inode: present.inode)
    let listeners = (try? listeningUnixSockets()) ?? []
    if listeners.contains(where: { $0.file == file && ours.contains($0.cookie) }) { return }
    try refuseIfLive(path, name, in: folder, plan)
}

/// Refuses a path on which anything listens. Only connect(2) finds out across network namespaces.
private func refuseIfLive(
    _ path: ByteString, _ name: ByteString, in folder: borrowing Descriptor, _ plan: SocketPlan
) throws(Failure) {
    // Without /proc, or if an address has no room for this path, the socket's own path has to do.
    let held = held(name, in: folder)
    let place = held.count < 108 && exists(held) ? held : path
    let probe = try step("create", "a socket to probe \(path)", remedy: descriptorRemedy) { () throws(Errno) in
        try socket(family: AF_UNIX, type: Int32(SOCK_STREAM.rawValue), flags: Int32(SOCK_NONBLOCK.rawValue))
    }
    switch reason({ () throws(Errno) in try connect(probe, to: .unix(place)) }) {
    case .connectionRefused?, .noEntry?:
        return
    case nil:
        let explanation = explainLiveUnixSocket(probe)
        throw Failure(.system, "bind", plan.object, explanation.reason, remedy: explanation.remedy)
    // A full accept queue, or a socket of another type.
    case .again?, Errno(rawValue: EPROTOTYPE)?:
        throw Failure(
            .system, "bind", plan.object, "address already in use: a live socket is there",
            remedy: "stop its server first or choose another path")
    case let other?:
        throw Failure("find out whether anything listens on", path, other)
    }
}

private func bindWithMode(_ socket: borrowing Descriptor, to address: SocketAddress, mode: UInt32?) throws(Errno) {
    guard let mode else { return try bind(socket, to: address) }
    // bind(2) makes the path with the mode of the socket's own inode, less the umask (unix_bind_bsd, any Linux). With
    // chmod(2) afterwards the path would have another mode for a moment.
    try checked(fchmod(socket.number, mode))
    let callers = umask(0)
    defer { _ = umask(callers) }
    try bind(socket, to: address)
}

/// Opens the path that bind(2) has just made, and makes sure that nobody has put another file there meanwhile.
private func openOwnEntry(
    _ name: ByteString, in folder: borrowing Descriptor, _ plan: SocketPlan
) throws(Failure) -> Descriptor {
    let entry = try step("open", plan.object) { () throws(Errno) in
        try open(name, in: folder, CLINUX_O_PATH | O_NOFOLLOW)
    }
    let info = try step("examine", plan.object) { () throws(Errno) in try status(of: entry) }
    guard info.isSocket, info.owner == geteuid(), info.links == 1 else {
        throw Failure(.system, "bind", plan.object, "something else was put in its place")
    }
    return entry
}

private func bindRemedy(_ errno: Errno) -> ByteString? {
    switch errno {
    case .accessDenied: "the directory must be writable"
    case .addressInUse: "a file was put there just now; try again"
    default: nil
    }
}
