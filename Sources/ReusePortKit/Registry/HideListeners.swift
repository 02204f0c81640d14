extension AppState {
    /// The copies that live on when these stop.
    func others(besides stopped: [CopyRecord]) -> [CopyRecord] {
        copies.filter { copy in copy.state != .ended && !stopped.contains { $0.fileName == copy.fileName } }
    }

    /// Hides listeners that only these copies hold, if others serve: no handshake may begin there while they close.
    func hideListeners(of stopped: [CopyRecord]) {
        let others = others(besides: stopped)
        guard resetsQueued, others.contains(where: { $0.state == .live && $0.generation == app.live?.id }) else {
            return
        }
        let kept = others.flatMap { $0.listeners }.map { $0.identity.cookie }
        hide(
            stopped.flatMap { $0.listeners }.map { $0.identity }.filter { !kept.contains($0.cookie) },
            heldBy: stopped.map { $0.process })
    }
}

/// Hides those TCP listeners of copies that can be borrowed. The others close as they would without this.
private func hide(_ listeners: [ListenerIdentity], heldBy processes: [ProcessIdentity]) {
    var open = (try? openListeners(listeners)) ?? []
    open.removeAll { $0.identity.transport != .tcp || $0.isHidden }
    // One for all copies: others may wait for the locks that are held meanwhile.
    let deadline = borrowingDeadline()
    // Asks every process if need be, because a master may leave its listener to its workers.
    for first in processes.map({ Optional($0) }) + [nil] where !open.isEmpty {
        let found = try? holders(ofSocketInodes: open.map { $0.inode }, first: first, onlyFirst: first != nil)
        for holder in found?.found ?? [] where !deadline.hasPassed {
            guard let index = open.firstIndex(where: { $0.inode == holder.inode }) else { continue }
            let cookie = open[index].identity.cookie
            let obstacle = reason { () throws(Errno) in
                try borrowSocket(of: holder, cookie: cookie, until: deadline) { (socket) throws(Errno) in
                    try ReusePortKit.hide(socket)
                    return ByteString()
                }
            }
            if obstacle == nil { open.remove(at: index) }
        }
    }
}
