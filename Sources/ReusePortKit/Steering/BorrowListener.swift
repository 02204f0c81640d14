import CLinux

/// A duplicate of a listener in a reuseport group, for a process that has none of its own: classic BPF takes a member
/// of the group to direct it. It is held for the moment only, for a listener that somebody holds stays open when the
/// process that serves it has died.
///
/// ENOENT: there is no such listener, or nobody holds it any more. EPERM: we may not trace who does.
func borrowListener(_ identity: ListenerIdentity) throws(Errno) -> Descriptor {
    guard let port = identity.address.port else { throw .noEntry }
    let records = try sockets(of: identity.transport, family: identity.address.family, on: port)
    guard let record = records.first(where: { $0.cookie == identity.cookie }) else { throw .noEntry }
    // Also who is not the copy itself: a master may leave its listener to its workers.
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

/// The socket that a process holds, if it is this very one still. ENOENT: it is another by now.
func borrowSocket(of holder: SocketHolder, cookie: UInt64) throws(Errno) -> Descriptor {
    let process = try ProcessHandle(to: holder.process)
    let socket = try process.borrowDescriptor(holder.descriptor)
    guard try socketCookie(of: socket) == cookie else { throw .noEntry }
    return socket
}
