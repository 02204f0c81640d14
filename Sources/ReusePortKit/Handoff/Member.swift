import CLinux

/// A process that becomes a copy: its sockets are bound, and it is not registered yet.
struct StartedCopy: ~Copyable {
    /// Its number in the generation.
    let number: Int
    /// The process, which stays the same in its exec.
    let process: ProcessHandle
    /// The coordinator's own descriptors of its sockets, in the order of `listeners`.
    let sockets: OwnedArray<Placement>
    let listeners: [Listener]
    /// Carries the program's word that it is ready.
    let channel: ReadinessChannel
    /// Tells whether the exec has succeeded.
    let exec: ExecWatch
}

/// A copy that is registered in its generation, and that its coordinator sees through the handoff.
struct Member: ~Copyable {
    let copy: StartedCopy
    var record: CopyRecord

    var pid: Int32 { copy.process.identity.pid }

    /// Closes the coordinator's own descriptors of the listeners. They would keep the listeners open after the copy has
    /// ended: connections would come, and nobody would accept them.
    @inline(never)
    borrowing func releaseListeners() {
        for index in 0..<copy.sockets.count { closeInPlace(copy.sockets[index].source.number) }
    }

    /// Does the same when the copy ends, and returns at once, for a coordinator that still needs the listeners.
    borrowing func releaseListenersAtEnd() {
        closeAtEnd(
            of: copy.process.descriptor.number, (0..<copy.sockets.count).map { copy.sockets[$0].source.number })
    }
}
