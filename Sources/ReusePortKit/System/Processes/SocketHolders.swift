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
    /// Processes that may have more than was seen: those of other users, unless the caller is root and has all its
    /// capabilities, and those with more descriptors than are read.
    var hidden: [Int32] = []
    /// What this process would need to see them.
    var lacks = Capabilities()
    /// False if a process has more descriptors than were read.
    var isComplete = true

    func holders(of inode: UInt64) -> [SocketHolder] { found.filter { $0.inode == inode } }
}

/// Searches /proc/PID/fd of all processes for sockets with these inodes, and of `first` before (or instead of) the others. ENOENT if
/// /proc is not mounted.
///
/// A socket may have holders that cannot be seen: in another pid namespace, hidden by permission, in a message on its
/// way (SCM_RIGHTS), or the kernel itself. It may also have a holder for a moment only: a child between fork(2) and
/// execve(2) has all descriptors of its parent, close-on-exec or not.
///
/// Reading a descriptor takes some microseconds, and a user can have millions. So each user has a budget, which counts
/// from the 32nd of each process on, and nobody's descriptors keep those of others from being found. Root's own are all
/// read.
func holders(
    ofSocketInodes inodes: [UInt64], first: ProcessIdentity? = nil, onlyFirst: Bool = false, budget: Int = 50_000,
    in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) -> SocketHolders {
    var result = SocketHolders()
    guard proc.isMounted else { throw .noEntry }
    let wanted = InodeSet(inodes)
    if wanted.isEmpty { return result }
    var users: [UInt32] = []
    var budgets: [Int] = []
    var pids = onlyFirst ? [] : try proc.processes()
    if let first {
        pids.removeAll { $0 == first.pid }
        pids.insert(first.pid, at: 0)
    }
    for pid in pids {
        var seen: [(inode: UInt64, descriptor: Int32)] = []
        do throws(Errno) {
            var account: Int?
            var count = 0
            try forEachSocket(of: try proc.open(process: pid)) { inode, descriptor in
                count += 1
                if count == 32 {
                    // Few processes have more, so few have to be asked for their user.
                    let user = (try? userID(of: pid, in: proc)) ?? UInt32.max
                    if user != 0 {
                        account = users.firstIndex(of: user) ?? users.count
                        if account == users.count {
                            users.append(user)
                            budgets.append(budget)
                        }
                    }
                }
                if let inode, wanted.contains(inode), !seen.contains(where: { $0.inode == inode }) {
                    seen.append((inode, descriptor))
                }
                guard let account else { return true }
                budgets[account] -= 1
                if budgets[account] >= 0 { return true }
                result.hidden.append(pid)
                result.isComplete = false
                return false
            }
        } catch {
            if error == .accessDenied || error == .notPermitted {
                result.hidden.append(pid)
                // Reading the directory takes one capability, reading the links in it another one.
                result.lacks.insert(error == .accessDenied ? .readSearch : .ptrace)
            }
            continue
        }
        if !seen.isEmpty, let status = try? ProcessStatus(of: pid, in: proc) {
            for one in seen {
                result.found.append(
                    SocketHolder(
                        inode: one.inode, process: status.identity, name: status.name, descriptor: one.descriptor))
            }
        }
    }
    result.found = result.found.ordered { $0.process.startTime < $1.process.startTime }
    return result
}

/// Finds the inodes of all sockets that a process has open. EACCES if its descriptors may not be seen, ESRCH or ENOENT
/// if it has gone.
@inline(never)
func socketInodes(
    of process: ProcessIdentity, in proc: ProcFileSystem = ProcFileSystem()
) throws(Errno) -> InodeSet {
    var result: [UInt64] = []
    // A hostile program can have millions.
    var left = 1 << 18
    try forEachSocket(of: try proc.open(process)) { inode, _ in
        if let inode { result.append(inode) }
        left -= 1
        return left > 0
    }
    return InodeSet(result)
}

/// Calls `body` with the number of each descriptor, and with the inode if it is a socket, until it returns false. EACCES:
/// its descriptors may not be listed; EPERM: they may be listed, but not read, without CAP_SYS_PTRACE.
@inline(never)
private func forEachSocket(
    of process: borrowing Descriptor, _ body: (UInt64?, Int32) -> Bool
) throws(Errno) {
    var hasSome = false
    let noting = { (inode: UInt64?, descriptor: Int32) -> Bool in
        hasSome = true
        return body(inode, descriptor)
    }
    try forEachSocket(in: try open("fd", in: process, O_RDONLY | O_DIRECTORY), noting)
    // Where the first thread has ended, only the others have descriptors to show.
    guard !hasSome, let tasks = try? open("task", in: process, O_RDONLY | O_DIRECTORY) else { return }
    for thread in (try? numbers(in: tasks)) ?? [] where !hasSome {
        guard let directory = try? open("\(thread)/fd", in: tasks, O_RDONLY | O_DIRECTORY) else { continue }
        try? forEachSocket(in: directory, noting)
    }
}

@inline(never)
private func forEachSocket(
    in directory: borrowing Descriptor, _ body: (UInt64?, Int32) -> Bool
) throws(Errno) {
    let number = directory.number
    var isHidden = false
    try forEachNumber(in: directory) { descriptor, name in
        var inode: UInt64?
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { target in
            let count = readlinkat(number, name, target.baseAddress!, target.count)
            inode = socketInode(inLink: target, count: count)
            isHidden = count == -1 && clinux_errno() == EACCES
        }
        return !isHidden && body(inode, descriptor)
    }
    if isHidden { throw .notPermitted }
}

/// Reads the number in `socket:[12345]`; nil for links to anything else.
@inline(never)
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
