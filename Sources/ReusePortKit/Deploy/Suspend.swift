import CLinux

/// Stops copies and all that they have started, and returns when they stand still.
///
/// SIGSTOP needs nothing of the program. What comes to its listeners meanwhile waits in their accept queues: the
/// kernel answers for it.
func suspend(_ copies: [CopyRecord], _ log: Log) throws(Failure) {
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
