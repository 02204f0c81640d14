import CLinux

/// Finds the process that listens on the Unix socket that `connected` is connected to.
///
/// SO_PEERCRED has the pid of the process that called listen(2). If that process has ended, or does not have the
/// listener any more, looks for another one that has a listener of that name open.
func explainLiveUnixSocket(
    _ connected: borrowing Descriptor, in proc: ProcFileSystem = ProcFileSystem()
) -> Explanation {
    let remedy: ByteString = "stop it first"
    var peer = clinux_ucred()
    var size = socklen_t(MemoryLayout<clinux_ucred>.size)
    guard getsockopt(connected.number, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 else {
        return Explanation("a process listens on it", remedy: remedy)
    }
    let owner = userDescription(peer.uid)
    let listeners = listenerInodes(servedTo: connected)
    if peer.pid > 0, let process = try? ProcessStatus(of: peer.pid, in: proc), !process.hasEnded {
        // Assumes that it still has the listener if its descriptors may not be seen.
        let inodes = try? socketInodes(of: process.identity, in: proc)
        if listeners.isEmpty || inodes.map({ set in listeners.contains { set.contains($0) } }) ?? true {
            return Explanation("\(named(process.identity, process.name)) of \(owner) listens on it", remedy: remedy)
        }
    }
    if let holder = (try? holders(ofSocketInodes: listeners, in: proc))?.found.first {
        return Explanation("\(named(holder.process, holder.name)) listens on it, opened by \(owner)", remedy: remedy)
    }
    // 0 is a process in a pid namespace that cannot be seen from here.
    if peer.pid == 0 {
        return Explanation("a process of \(owner) in another pid namespace listens on it", remedy: remedy)
    }
    return Explanation("pid \(peer.pid) of \(owner) listens on it", remedy: remedy)
}

/// Finds the inodes of the listening sockets with the name of the other end.
private func listenerInodes(servedTo connected: borrowing Descriptor) -> [UInt64] {
    var result: [UInt64] = []
    guard let path = (try? remoteAddress(of: connected))?.path, !path.isEmpty,
        let records = try? listeningUnixSockets()
    else { return result }
    for record in records where record.path == path { result.append(record.inode) }
    return result
}
