import CLinux

/// Stops copies and all that they have started, and returns when they stand still.
///
/// SIGSTOP needs nothing of the program. What comes to its listeners meanwhile waits in their accept queues: the
/// kernel answers for it.
/// What waits by itself for the message to go on is left alone: it needs to run to get it.
func suspend(_ copies: [CopyRecord], _ log: Log) throws(Failure) {
    let copies = copies.filter { !$0.waits }
    for copy in copies {
        try step("suspend", "pid \(copy.process.pid)") { () throws(Errno) in
            try ProcessHandle(to: copy.process).signal(SIGSTOP)
        }
    }
    for copy in copies {
        let deadline = Deadline(after: .seconds(2))
        var pause = Pause()
        while !standsStill(copy.process) {
            guard !deadline.hasPassed else {
                throw Failure(.negative, "suspend", "pid \(copy.process.pid)", "it does not stop")
            }
            pause.wait(until: deadline)
        }
        // What has stopped starts nothing more; its children may have, until it did.
        var known: [ProcessIdentity] = []
        while true {
            let children = descendants(of: copy.process, in: ProcFileSystem()).filter { !known.contains($0) }
            if children.isEmpty { break }
            for child in children { try? ProcessHandle(to: child).signal(SIGSTOP) }
            known += children
        }
    }
}

private func standsStill(_ process: ProcessIdentity) -> Bool {
    guard let now = try? ProcessStatus(of: process.pid) else { return true }
    return now.identity != process || now.isStopped || now.hasEnded
}

/// Lets a copy, and all that it has started, go on.
func resume(_ copy: CopyRecord) throws(Errno) {
    for child in descendants(of: copy.process, in: ProcFileSystem()) { try? ProcessHandle(to: child).signal(SIGCONT) }
    try ProcessHandle(to: copy.process).signal(SIGCONT)
}

extension AppState {
    /// Tells a copy that waits for the message to go on, as nodesockd has it.
    mutating func wake(_ copy: CopyRecord) throws(Errno) {
        guard copy.waits, let channel = copy.channel else { return }
        try send("\"resume\"", through: channel, of: ProcessHandle(to: copy.process))
        var copy = copies.first { $0.fileName == copy.fileName } ?? copy
        copy.waits = false
        replace(copy)
    }

    /// The same for those whose generation was resumed, or never suspended, meanwhile.
    mutating func wake(_ copies: [CopyRecord], _ log: Log) {
        for copy in copies {
            do throws(Errno) {
                try wake(copy)
            } catch {
                log.warning("pid \(copy.process.pid) was not told to go on: \(error.description); say resume")
            }
        }
    }
}
