import CLinux

/// A copy that waits for its turn: its sockets are bound and its files are open.
struct PreparedCopy: ~Copyable {
    /// Its number in the generation.
    let number: Int
    let listeners: [Listener]
    let channel: ReadinessChannel
    let exec: ExecWatch
    let origin: Origin

    enum Origin: ~Copyable {
        /// The launcher, which becomes the copy, and duplicates of its sockets for the helper.
        case launcher(CopyProcess)
        /// A child that is still to be forked.
        case child(UnstartedChild)
    }

    /// Finds or starts its process; a child starts in the group. `asStart` is the number of this start, of all starts of
    /// the app's copies.
    consuming func start(in group: CopyGroup?, asStart count: UInt64) throws(Failure) -> StartedCopy {
        let started: CopyProcess
        switch consume origin {
        case .launcher(let own): started = own
        case .child(let child): started = try child.start(number, in: group, asStart: count)
        }
        return StartedCopy(
            number: number, process: started.handle, sockets: started.sockets, listeners: listeners, channel: channel,
            exec: exec)
    }
}

struct CopyProcess: ~Copyable {
    let handle: ProcessHandle
    /// The coordinator's own descriptors of its sockets.
    let sockets: OwnedArray<Placement>
}

/// A copy whose process is there, and which is not registered yet.
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

    /// Does the same for a copy that will not serve. If it has ended this closes them, so they are hidden first.
    borrowing func giveUpListeners() {
        if copy.process.hasExited {
            for index in 0..<copy.sockets.count where copy.listeners[index].identity.transport == .tcp {
                try? hide(copy.sockets[index].source)
            }
        }
        releaseListeners()
    }

    /// Does as `releaseListeners` when the copy ends, and returns at once: the coordinator still needs the listeners.
    borrowing func releaseListenersAtEnd() {
        closeAtEnd(
            of: copy.process.descriptor.number, (0..<copy.sockets.count).map { copy.sockets[$0].source.number })
    }
}
