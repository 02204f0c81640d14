import CLinux

/// The reason and the remedy of a `Failure`.
struct Explanation: Hashable, Sendable {
    let reason: ByteString
    let remedy: ByteString?

    init(_ reason: ByteString, remedy: ByteString? = nil) {
        self.reason = reason
        self.remedy = remedy
    }
}

/// Finds the socket because of which a bind(2) or listen(2) failed with EADDRINUSE, and why they cannot share the port.
///
/// The kernel lets TCP sockets share a port if all have SO_REUSEPORT and the same owner. sock_diag(7) tells the owner.
/// The option is read from a duplicate of the holder's socket where that is allowed (root, or a process of the same
/// user). Otherwise it is inferred: a conflicting socket of the same owner does not share. Takes some milliseconds, so
/// it is called only after a failure.
func explainAddressInUse(
    _ attempt: BindAttempt, in proc: ProcFileSystem = ProcFileSystem()
) -> Explanation {
    let plain = Errno.addressInUse.description
    guard let port = attempt.address.port,
        let bound = obstacles(to: attempt, in: [.listening, .bound], proc)
    else { return Explanation(plain) }

    // First sockets that certainly conflict, then those that conflict because of their owner, then those that may.
    let culprit =
        bound.first { $0.shares == false && $0.record.uid == attempt.uid }
        ?? bound.first { $0.shares == false }
        ?? bound.first { $0.record.uid != attempt.uid }
        ?? bound.first { $0.shares == nil }
    if let culprit {
        // A program often has several such sockets: names the processes of all, each once.
        let alike = bound.filter { $0.shares == culprit.shares && $0.record.uid == culprit.record.uid }
        return explain(culprit, alike, attempt, port)
    }

    // A connection without SO_REUSEADDR, mostly a client's, prevents others from binding its local port.
    if let connections = obstacles(to: attempt, in: .connections, proc),
        let culprit = connections.first(where: { $0.reusesAddress == false })
            ?? connections.first(where: { $0.reusesAddress == nil })
    {
        return explainConnection(culprit, port)
    }
    return Explanation(plain, remedy: "the socket that held it is gone: try again")
}

/// A socket that overlaps with the wanted one.
private struct Obstacle {
    let record: SocketRecord
    /// The processes that have it open, in the order in which they started.
    let holders: [SocketHolder]
    /// SO_REUSEPORT; nil if it could not be read.
    let shares: Bool?
    /// SO_REUSEADDR; nil if it could not be read.
    let reusesAddress: Bool?
    /// Whether /proc could be searched for the holders.
    let couldSearch: Bool
}

/// Finds all sockets in these states that overlap; nil if the kernel does not list them.
private func obstacles(to attempt: BindAttempt, in states: SocketStates, _ proc: ProcFileSystem) -> [Obstacle]? {
    guard
        let records = try? internetSockets(
            attempt.internetProtocol, states: states, localPort: attempt.address.port)
    else { return nil }
    let overlapping = records.filter { attempt.overlaps($0) }
    if overlapping.isEmpty { return [] }
    let inodes = overlapping.filter { $0.inode != 0 }.map { $0.inode }
    let search = try? holders(ofSocketInodes: inodes, in: proc)
    var result: [Obstacle] = []
    for record in overlapping {
        var holders = search?.holders(of: record.inode) ?? []
        // If this process has inherited the socket, names the other holders only.
        let own = getpid()
        if holders.count > 1 { holders.removeAll { $0.process.pid == own } }
        let options = sharing(of: record, holders, proc)
        result.append(
            Obstacle(
                record: record, holders: holders, shares: options?.shares, reusesAddress: options?.reusesAddress,
                couldSearch: search != nil))
    }
    return result
}

/// Reads the options of a socket from a duplicate; nil if no holder allows that.
private func sharing(
    of record: SocketRecord, _ holders: [SocketHolder], _ proc: ProcFileSystem
) -> (shares: Bool, reusesAddress: Bool)? {
    for holder in holders {
        do throws(Errno) {
            let options = try borrowSocket(of: holder, cookie: record.cookie, in: proc) { (socket) throws(Errno) in
                ByteString([
                    try option(socket, SOL_SOCKET, SO_REUSEPORT) != 0 ? 1 : 0,
                    try option(socket, SOL_SOCKET, SO_REUSEADDR) != 0 ? 1 : 0,
                ])
            }
            return (options.bytes[0] == 1, options.bytes[1] == 1)
        } catch {
            continue
        }
    }
    return nil
}

private func explain(
    _ culprit: Obstacle, _ alike: [Obstacle], _ attempt: BindAttempt, _ port: UInt16
) -> Explanation {
    let record = culprit.record
    let owner = userDescription(record.uid)
    var reason: ByteString = "port \(port) is held"
    // Names the address if it is another one: `0.0.0.0:80` conflicts with `127.0.0.1:80`.
    if record.address != attempt.address { reason.append(" at \(record.address.description)") }
    // A socket of the same owner that conflicts has no SO_REUSEPORT.
    let doesNotShare = culprit.shares == false || record.uid == attempt.uid
    let sameOwner: ByteString = "every generation must bind under the same uid"

    guard let processes = processList(alike) else {
        reason.append(" by a socket of \(owner), inode \(record.inode)")
        reason.append(doesNotShare ? ", which does not share it" : ", and \(sameOwner)")
        let remedy: ByteString =
            if !culprit.couldSearch {
                "mount /proc to see which process that is"
            } else if geteuid() != 0 {
                "run as root to see which process that is"
            } else {
                "no process that can be seen from here has it: look in other containers"
            }
        return Explanation(reason, remedy: remedy)
    }
    if doesNotShare {
        reason.append(" by \(processes.text), which \(processes.count == 1 ? "does" : "do") not share it")
        return Explanation(reason, remedy: "stop it, choose another port, or have it set SO_REUSEPORT")
    }
    if culprit.shares == true {
        reason.append(" by sockets of \(owner), \(processes.text), that share it, but \(sameOwner)")
    } else {
        reason.append(" by sockets of \(owner), \(processes.text), and \(sameOwner)")
    }
    return Explanation(reason, remedy: "stop it, or start this as \(owner) instead of uid \(attempt.uid)")
}

private func explainConnection(_ culprit: Obstacle, _ port: UInt16) -> Explanation {
    let record = culprit.record
    let later: ByteString = "try again later, or choose a port outside of net.ipv4.ip_local_port_range"
    if let holder = culprit.holders.first {
        let process = named(holder.process, holder.name)
        return Explanation(
            "port \(port) is the local port of a connection of \(process) to \(record.remote.description)",
            remedy: later)
    }
    let state = record.state.description
    return Explanation(
        "port \(port) is the local port of a connection to \(record.remote.description) in state \(state)",
        remedy: "try again in a minute")
}

/// Writes `pid 1234 (nginx)`, or `pid 1234 (nginx) and 2 more`; nil if no process is known.
private func processList(_ obstacles: [Obstacle]) -> (text: ByteString, count: Int)? {
    var seen: [SocketHolder] = []
    for obstacle in obstacles {
        for holder in obstacle.holders where !seen.contains(where: { $0.process == holder.process }) {
            seen.append(holder)
        }
    }
    guard let first = seen.first else { return nil }
    var text = named(first.process, first.name)
    if seen.count > 1 { text.append(" and \(seen.count - 1) more") }
    return (text, seen.count)
}

/// Writes `pid 1234 (nginx)`.
func named(_ process: ProcessIdentity, _ name: ByteString) -> ByteString { "pid \(process.pid) (\(name))" }
