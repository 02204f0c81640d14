import CLinux

/// A process that becomes a copy: its sockets are bound, and it is not registered yet.
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

    /// Closes the coordinator's own descriptors of the listeners, which would keep them open when the copy has ended:
    /// connections would come, and nobody would accept them.
    borrowing func releaseListeners() {
        for index in 0..<copy.sockets.count { closeInPlace(copy.sockets[index].source.number) }
    }

    /// Closes them when the copy ends, for a coordinator that needs the listeners until then.
    borrowing func releaseListenersAtEnd() {
        closeAtEnd(
            of: copy.process.descriptor.number, (0..<copy.sockets.count).map { copy.sockets[$0].source.number })
    }
}
