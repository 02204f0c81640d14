import CLinux

/// Suspends copies and all that they have started: stops the processes, and returns when they stand still.
///
/// SIGSTOP needs no help of the program. Connections that come to its listeners meanwhile wait in their accept queues:
/// the kernel completes their handshakes. Copies that wait for a message are left alone, because they have to run to
/// get it.
func suspend(_ copies: [CopyRecord]) throws(Failure) {
    let copies = copies.filter { $0.channel?.waits != true }
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
        // A stopped process starts no more children, but those it has may have started others until they were stopped.
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

/// Continues a copy and all that it has started.
func resume(_ copy: ProcessIdentity) throws(Errno) {
    for child in descendants(of: copy, in: ProcFileSystem()) { try? ProcessHandle(to: child).signal(SIGCONT) }
    try ProcessHandle(to: copy).signal(SIGCONT)
}

extension AppState {
    /// Sends the copies of a generation that wait for it the message to go on, as nodesockd does. Returns what failed.
    func wake(_ generation: UInt64) -> Failure? {
        var failure: Failure?
        for index in copies.indices where copies[index].generation == generation {
            let process = copies[index].process
            guard let channel = copies[index].channel, channel.waits, process.isAlive() else { continue }
            do throws(Errno) {
                try send(channel.resumeMessage, through: channel, of: ProcessHandle(to: process))
                copies[index].channel = ChannelRecord(
                    number: channel.number, cookie: channel.cookie, stopMessages: channel.stopMessages)
            } catch {
                failure = Failure(
                    "resume", "pid \(process.pid) through its Node channel", error,
                    remedy: error == .notPermitted ? "do it as root" : nil)
            }
        }
        return failure
    }
}

extension CopyRecord {
    /// Whether it waits for a message, or is stopped.
    var isStill: Bool { channel?.waits == true || (try? ProcessStatus(of: process.pid))?.isStopped == true }
}
