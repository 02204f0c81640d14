import CLinux

/// Duplicates a listener of another process, for a caller that has no member of its reuseport group and needs one to
/// attach a classic BPF program. The caller must close it at once: while anybody holds a listener, it stays open even
/// when the process that serves it has died.
///
/// ENOENT: there is no such listener, or no process holds it any more. EPERM: we may not trace the processes that do.
func borrowListener(_ identity: ListenerIdentity) throws(Errno) -> Descriptor {
    guard let port = identity.address.port else { throw .noEntry }
    let records = try sockets(of: identity.transport, family: identity.address.family, on: port)
    guard let record = records.first(where: { $0.cookie == identity.cookie }) else { throw .noEntry }
    // Asks every holder, not only the copy itself: a master may leave its listener to its workers.
    let holders = try holders(ofSocketInode: record.inode)
    var failure: Errno = holders.hidden > 0 ? .notPermitted : .noEntry
    for holder in holders.found {
        do throws(Errno) {
            return try borrowSocket(of: holder, cookie: identity.cookie)
        } catch {
            failure = error
        }
    }
    throw failure
}

/// Duplicates a socket of another process. ENOENT: its descriptor stands for another socket by now.
func borrowSocket(of holder: SocketHolder, cookie: UInt64) throws(Errno) -> Descriptor {
    let process = try ProcessHandle(to: holder.process)
    let socket = try process.borrowDescriptor(holder.descriptor)
    guard try socketCookie(of: socket) == cookie else { throw .noEntry }
    return socket
}
