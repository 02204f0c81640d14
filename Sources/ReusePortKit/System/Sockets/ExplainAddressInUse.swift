import CLinux

/// Why something failed, and what to do about it; both as parts of one line.
struct Explanation: Hashable, Sendable {
    let reason: ByteString
    let remedy: ByteString?

    init(_ reason: ByteString, remedy: ByteString? = nil) {
        self.reason = reason
        self.remedy = remedy
    }
}

/// Who is in the way of a bind(2) or listen(2) that has failed with EADDRINUSE, and why they cannot share.
///
/// The kernel lets TCP sockets with SO_REUSEPORT share a port if they have the same owner; the owner is told by the
/// kernel, the option is seen by borrowing the holder's socket for a moment where that is allowed (root, or a process
/// of our own), and inferred otherwise: what has our owner and is in the way does not share. It takes some
/// milliseconds, and is to be called after a failure only.
func explainAddressInUse(
    _ attempt: BindAttempt, in proc: ProcFileSystem = ProcFileSystem()
) -> Explanation {
    let plain = Errno.addressInUse.description
    guard let port = attempt.address.port,
        let bound = obstacles(to: attempt, in: [.listening, .bound], proc)
    else { return Explanation(plain) }

    // In this order: what certainly is in the way, what is because of its owner, and what may be.
    let culprit =
        bound.first { $0.shares == false && $0.record.uid == attempt.uid }
        ?? bound.first { $0.shares == false }
        ?? bound.first { $0.record.uid != attempt.uid }
        ?? bound.first { $0.shares == nil }
    if let culprit {
        // The same processes often hold several listeners: they are counted once.
        let alike = bound.filter { $0.shares == culprit.shares && $0.record.uid == culprit.record.uid }
        return explain(culprit, alike, attempt, port)
    }

    // A connection that began without SO_REUSEADDR keeps its local port from being bound: clients', mostly.
    if let connections = obstacles(to: attempt, in: .connections, proc),
        let culprit = connections.first(where: { $0.reusesAddress == false })
            ?? connections.first(where: { $0.reusesAddress == nil })
    {
        return explainConnection(culprit, port)
    }
    return Explanation(plain, remedy: "whoever held it has gone meanwhile: try again")
}

/// A socket that overlaps with the one we want, and what could be learnt of it.
private struct Obstacle {
    let record: SocketRecord
    /// The processes that have it, those that started first in front.
    let holders: [SocketHolder]
    /// SO_REUSEPORT; nil if we could not look.
    let shares: Bool?
    /// SO_REUSEADDR; nil if we could not look.
    let reusesAddress: Bool?
    /// Whether /proc was there to look for the holders.
    let couldSearch: Bool
}

/// All sockets in these states that overlap; nil if the kernel does not tell.
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
        // When we have inherited it, whoever else has it is of more interest.
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

/// Borrows the socket from the first holder that lets us.
private func sharing(
    of record: SocketRecord, _ holders: [SocketHolder], _ proc: ProcFileSystem
) -> (shares: Bool, reusesAddress: Bool)? {
    for holder in holders {
        do throws(Errno) {
            let process = try ProcessHandle(to: holder.process, in: proc)
            let socket = try process.borrowDescriptor(holder.descriptor)
            // The process may have closed it meanwhile and opened something else.
            guard try socketCookie(of: socket) == record.cookie else { continue }
            return (
                try option(socket, SOL_SOCKET, SO_REUSEPORT) != 0, try option(socket, SOL_SOCKET, SO_REUSEADDR) != 0
            )
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
    let other = record.uid != attempt.uid
    let processes = processList(alike)
    let owner = userDescription(record.uid)
    var reason: ByteString = "port \(port) is held"
    // `0.0.0.0:80` is in the way of `127.0.0.1:80`, which is not seen at once.
    if record.address != attempt.address { reason.append(" at \(record.address.description)") }
    // Without SO_REUSEPORT, or with our uid and in the way, which comes to the same.
    let doesNotShare = culprit.shares == false || !other
    let pronoun: ByteString = processes.count == 1 ? "which does not share it" : "which do not share it"
    let sameOwner: ByteString = "every generation must bind under the same uid"

    guard !processes.isEmpty else {
        reason.append(" by a socket of \(owner), inode \(record.inode)")
        if doesNotShare { reason.append(", which does not share it") }
        if !doesNotShare { reason.append(", and \(sameOwner)") }
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
        reason.append(" by \(processes.text), \(pronoun)")
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

/// `pid 1234 (nginx)`, and how many more.
private func processList(_ obstacles: [Obstacle]) -> (text: ByteString, count: Int, isEmpty: Bool) {
    var seen: [SocketHolder] = []
    for obstacle in obstacles {
        for holder in obstacle.holders where !seen.contains(where: { $0.process == holder.process }) {
            seen.append(holder)
        }
    }
    guard let first = seen.first else { return ("", 0, true) }
    var text = named(first.process, first.name)
    if seen.count > 1 { text.append(" and \(seen.count - 1) more") }
    return (text, seen.count, false)
}

/// `pid 1234 (nginx)`.
func named(_ process: ProcessIdentity, _ name: ByteString) -> ByteString { "pid \(process.pid) (\(name))" }
