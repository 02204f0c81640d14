import CLinux

/// A process that has a socket open.
struct SocketHolder: Hashable, Sendable {
    /// The socket's inode.
    let inode: UInt64
    let process: ProcessIdentity
    /// The name of the process's command.
    let name: ByteString
    /// The process's first descriptor of the socket.
    let descriptor: Int32
}

/// The result of a search through the descriptors of all processes.
struct SocketHolders: Sendable {
    /// One entry for each process and socket, in the order in which the processes started.
    var found: [SocketHolder] = []
    /// The number of processes whose descriptors may not be seen: those of other users, unless the caller is root.
    var hidden = 0
    /// False if the search ended at the limit.
    var isComplete = true

    func holders(of inode: UInt64) -> [SocketHolder] { found.filter { $0.inode == inode } }
}

/// Searches /proc/PID/fd of all processes for sockets with these inodes. ENOENT if /proc is not mounted.
///
/// A socket may have holders that cannot be seen: in another pid namespace, hidden by permission, in a message on its
/// way (SCM_RIGHTS), or the kernel itself. It may also have a holder for a moment only: a child between fork(2) and
/// execve(2) has all descriptors of its parent, close-on-exec or not.
///
/// `limit` bounds how many descriptors are read (each takes about a microsecond).
func holders(
    ofSocketInodes inodes: [UInt64], atMost limit: Int = 1_000_000, in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) -> SocketHolders {
    var result = SocketHolders()
    guard proc.isMounted else { throw .noEntry }
    let wanted = InodeSet(inodes)
    if wanted.isEmpty { return result }
    var left = limit
    for pid in try proc.processes() {
        var seen: [(inode: UInt64, descriptor: Int32)] = []
        do throws(Errno) {
            try forEachSocket(of: try proc.open(process: pid), atMost: &left) { inode, descriptor in
                if wanted.contains(inode), !seen.contains(where: { $0.inode == inode }) {
                    seen.append((inode, descriptor))
                }
            }
        } catch {
            if error == .accessDenied || error == .notPermitted { result.hidden += 1 }
            continue
        }
        if !seen.isEmpty, let status = try? ProcessStatus(of: pid, in: proc) {
            for one in seen {
                result.found.append(
                    SocketHolder(
                        inode: one.inode, process: status.identity, name: status.name, descriptor: one.descriptor))
            }
        }
        if left <= 0 {
            result.isComplete = false
            break
        }
    }
    result.found = result.found.ordered { $0.process.startTime < $1.process.startTime }
    return result
}

/// Searches /proc/PID/fd of all processes for one socket.
func holders(
    ofSocketInode inode: UInt64, in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) -> SocketHolders {
    try holders(ofSocketInodes: [inode], in: proc)
}

/// Finds the inodes of all sockets that a process has open. EACCES if its descriptors may not be seen, ESRCH or ENOENT
/// if it has gone.
func socketInodes(
    of process: ProcessIdentity, in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) -> InodeSet {
    var result: [UInt64] = []
    var limit = Int.max
    try forEachSocket(of: try proc.open(process), atMost: &limit) { inode, _ in result.append(inode) }
    return InodeSet(result)
}

/// Calls `body` with inode and number of each descriptor that is a socket. Lowers `limit` by one for each descriptor,
/// and stops at 0.
private func forEachSocket(
    of process: borrowing Descriptor, atMost limit: inout Int, _ body: (UInt64, Int32) -> Void
) throws(Errno) {
    let directory = try open("fd", in: process, O_RDONLY | O_DIRECTORY)
    let number = directory.number
    try forEachNumber(in: directory) { descriptor, name in
        limit -= 1
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { target in
            let count = readlinkat(number, name, target.baseAddress!, target.count)
            if let inode = socketInode(inLink: target, count: count) { body(inode, descriptor) }
        }
        return limit > 0
    }
}

/// Reads the number in `socket:[12345]`; nil for links to anything else.
private func socketInode(inLink link: UnsafeMutableBufferPointer<CChar>, count: Int) -> UInt64? {
    let prefix: StaticString = "socket:["
    let start = prefix.utf8CodeUnitCount
    guard count > start + 1, memcmp(link.baseAddress!, prefix.utf8Start, start) == 0 else { return nil }
    var result: UInt64 = 0
    for index in start..<count - 1 {
        result = result &* 10 &+ UInt64(UInt8(bitPattern: link[index]) &- 48)
    }
    return result
}
