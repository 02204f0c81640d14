import CLinux

/// Binds a Unix socket to a path that has the right mode from the first moment, and its owner before it listens.
///
/// The directory is held open meanwhile, so that the directory that is checked is the one that is used.
func bindUnixSocket(
    _ plan: SocketPlan, path: ByteString, leftovers: inout Leftovers, takesStale: Bool
) throws(Failure) -> BoundSocket {
    let place = try openTrustedDirectory(of: path, plan)
    if takesStale { try clearStalePath(place, path: path, plan) }

    let socket = try step("create", "socket \(plan.name)", remedy: descriptorRemedy) { () throws(Errno) in
        try ReusePortKit.socket(family: AF_UNIX, type: Int32(SOCK_STREAM.rawValue))
    }
    // Programs see the address that is given here. But if others could make the path lead elsewhere, only the open
    // directory is sure.
    let address =
        place.directoryWeakness == nil
        ? plan.address : .unix("/proc/self/fd/\(place.directory.number)/\(place.name)")
    try step("bind", plan.object, remedy: bindRemedy) { () throws(Errno) in
        try bindWithMode(socket, to: address, mode: plan.mode)
    }
    let entry = try openOwnEntry(place.name, in: place.directory, plan)
    let file = try step("examine", plan.object) { () throws(Errno) in try status(of: entry) }
    let folder = try step("open", plan.object, remedy: descriptorRemedy) { () throws(Errno) in
        try place.directory.duplicate()
    }
    leftovers.append(Leftover(directory: folder, name: place.name, file: file))
    if plan.owner != nil || plan.group != nil {
        try step(
            "change the owner of", plan.object, remedy: { $0 == .notPermitted ? "only root gives files away" : nil }
        ) {
            () throws(Errno) in
            try changeOwner(of: entry, owner: plan.owner, group: plan.group)
        }
    }
    try listenIfWanted(socket, plan)
    return BoundSocket(descriptor: socket, address: plan.address)
}

/// Opens the directory of a socket, and refuses one in which everybody may replace files.
private func openTrustedDirectory(of path: ByteString, _ plan: SocketPlan) throws(Failure) -> FollowedPath {
    let object: ByteString = "directory \(directory(of: path)) of socket \(plan.name)"
    let place = try followPath(path, object: object, followsLast: false)
    let info = try step("examine", object) { () throws(Errno) in try status(of: place.directory) }
    let isSticky = info.mode & 0o1000 != 0
    if info.mode & 0o002 != 0 && !isSticky {
        throw Failure(
            .system, "bind", plan.object, "everybody may replace files in \(directory(of: path))",
            remedy: "chmod o-w or +t it")
    }
    return place
}

/// Removes a socket without a listener, and refuses everything else that is there.
private func clearStalePath(
    _ place: borrowing FollowedPath, path: ByteString, _ plan: SocketPlan
) throws(Failure) {
    if try openPresent(place, plan) == nil { return }
    let lock: ByteString = ".\(place.name).lock"
    // Otherwise, of two launchers that find the same stale socket, one may remove the other's new one.
    let held = try takeLock(lock, place, plan)
    if let stale = try openPresent(place, plan) {
        try refuseIfLive(path, stale, plan)
        try step("remove the stale", path) { () throws(Errno) in
            // Another process may have removed it just now.
            if let reason = reason({ () throws(Errno) in try unlink(place.name, in: place.directory) }),
                reason != .noEntry
            {
                throw reason
            }
        }
    }
    if held != nil { _ = reason { () throws(Errno) in try unlink(lock, in: place.directory) } }
}

/// Locks a file beside the socket by flock(2). Nobody else can: it is this user's, and only this user can open it. Nil
/// if somebody has put something else there, who could as well put something in the socket's place.
private func takeLock(
    _ name: ByteString, _ place: borrowing FollowedPath, _ plan: SocketPlan
) throws(Failure) -> Descriptor? {
    let deadline = Deadline(after: .seconds(5))
    var pause = Pause()
    while true {
        guard
            let file = try? open(
                name, in: place.directory, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode: 0o600),
            let info = try? status(of: file), info.isRegular, info.owner == geteuid(), info.mode & 0o077 == 0
        else { return nil }
        // Whoever had it has removed the file.
        if flock(file.number, LOCK_EX | LOCK_NB) == 0,
            let now = try? status(of: name, in: place.directory), now.isSameFile(as: info)
        {
            return file
        }
        if deadline.hasPassed { throw Failure("lock", "the directory of \(plan.object)", .again) }
        pause.wait(until: deadline)
    }
}

/// Opens the socket that has the name already, without a look at the name afterwards; nil if there is none. Refuses
/// anything else.
private func openPresent(_ place: borrowing FollowedPath, _ plan: SocketPlan) throws(Failure) -> Descriptor? {
    let info: FileStatus
    do throws(Errno) {
        let entry = try open(place.name, in: place.directory, CLINUX_O_PATH | O_NOFOLLOW)
        info = try status(of: entry)
        if info.isSocket { return entry }
    } catch {
        if error == .noEntry { return nil }
        throw Failure("examine", plan.object, error)
    }
    let what: ByteString =
        info.isSymbolicLink ? "a symbolic link" : info.isDirectory ? "a directory" : "a file that is no socket"
    throw Failure(.system, "bind", plan.object, "\(what) is there", remedy: "remove it or choose another path")
}

/// Refuses a path that rename(2) must not replace: only a socket without a listener may be, or one of `ours`.
func refuseForeignPath(_ path: ByteString, _ plan: SocketPlan, ours: [UInt64]) throws(Failure) {
    let place = try openTrustedDirectory(of: path, plan)
    guard let present = try openPresent(place, plan) else { return }
    let file = try step("examine", plan.object) { () throws(Errno) in UnixSocketFile(try status(of: present)) }
    let listeners = (try? listeningUnixSockets()) ?? []
    if listeners.contains(where: { $0.file == file && ours.contains($0.cookie) }) { return }
    try refuseIfLive(path, present, plan)
}

/// Refuses a path on which anything listens, or will. Only connect(2) finds out across network namespaces.
private func refuseIfLive(
    _ path: ByteString, _ present: borrowing Descriptor, _ plan: SocketPlan
) throws(Failure) {
    // Without /proc the socket's own path has to do.
    let held: ByteString = "/proc/self/fd/\(present.number)"
    let probe = try step("create", "a socket to probe \(path)", remedy: descriptorRemedy) { () throws(Errno) in
        try unixProbe()
    }
    let inUse: ByteString
    switch reason({ () throws(Errno) in try connect(probe, to: .unix(exists(held) ? held : path)) }) {
    case .connectionRefused?, .noEntry?:
        // Another launcher may have bound it just now.
        guard let file = try? UnixSocketFile(status(of: present)), let bound = try? listeningUnixSockets(or: .bound),
            bound.contains(where: { $0.file == file })
        else { return }
        inUse = "a process has bound a socket there"
    case nil:
        let explanation = explainLiveUnixSocket(probe)
        throw Failure(.system, "bind", plan.object, explanation.reason, remedy: explanation.remedy)
    // A full accept queue, or a socket of another type.
    case .again?, Errno(rawValue: EPROTOTYPE)?: inUse = "a live socket is there"
    case let other?:
        throw Failure("find out whether anything listens on", path, other)
    }
    throw Failure(
        .system, "bind", plan.object, "address already in use: \(inUse)",
        remedy: "stop its server first or choose another path")
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
