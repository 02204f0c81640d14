import CLinux

/// A process that is about to be a copy: its sockets are bound, and nobody knows of it yet.
struct StartedCopy: ~Copyable {
    let number: Int
    /// The copy, before its exec and after.
    let process: ProcessHandle
    let sockets: OwnedArray<Placement>
    let listeners: [Listener]
    let channel: ReadinessChannel
    let exec: ExecWatch
}

/// A copy that is registered in its generation, and that its coordinator sees through the handoff.
struct Member: ~Copyable {
    let copy: StartedCopy
    var record: CopyRecord

    var pid: Int32 { copy.process.identity.pid }

    /// Closes the coordinator's own hold on the listeners. A listener that somebody else holds stays open when its
    /// process has died, and swallows connections.
    borrowing func releaseListeners() {
        for index in 0..<copy.sockets.count { closeInPlace(copy.sockets[index].source.number) }
    }

    /// The same as soon as the copy has ended, for a coordinator that needs the listeners a while longer.
    borrowing func releaseListenersAtEnd() {
        closeAtEnd(
            of: copy.process.descriptor.number, (0..<copy.sockets.count).map { copy.sockets[$0].source.number })
    }
}
