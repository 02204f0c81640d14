import CLinux

/// By what the helper learns that the copy has become the target: a pipe whose write end closes by itself with the
/// exec.
///
/// Until then the copy is the launcher, whose last steps can still fail: a generation that takes over "as soon as it
/// runs" must not do so for a command that does not exist.
struct ExecChannel: ~Copyable {
    let reader: Descriptor
    private var writer: Descriptor?

    /// `lowest`: the first number that nothing of the target's will be moved to.
    static func make(from lowest: Int32) throws(Failure) -> ExecChannel {
        let pipe = try step("make", "pipe to the helper", remedy: descriptorRemedy) { () throws(Errno) in
            try PipeEnds()
        }
        let aside = try step("move", "pipe to the helper", remedy: { placeRemedy($0, lowest) }) { () throws(Errno) in
            try pipe.writer.duplicate(from: lowest)
        }
        return ExecChannel(reader: pipe.reader, writer: aside)
    }

    private init(reader: consuming Descriptor, writer: consuming Descriptor) {
        self.reader = reader
        self.writer = consume writer
    }

    /// The launcher: it has not come to the exec. Why is one write(2), and so read as a whole.
    func tell(_ failure: Failure) {
        switch writer {
        case .some(let writer):
            let text = ByteString("!\(failure.message)").prefix(Int(PIPE_BUF))
            _ = text.bytes.withUnsafeBytes { write(writer.number, $0.baseAddress, $0.count) }
        case .none: break
        }
    }

    /// Whoever waits and is not the launcher: the end would not be seen while it holds the writing one itself.
    mutating func closeWriter() { writer = nil }

    /// Waits for the exec: nil. Else why the launcher has not come to it; empty if it has not said so.
    func awaitExec(until deadline: Deadline) throws(Errno) -> ByteString? {
        guard try waitForEvents(POLLIN, on: reader, until: deadline) else { return "" }
        var buffer = [UInt8](repeating: 0, count: Int(PIPE_BUF))
        let number = reader.number
        let count = try uninterrupted { read(number, &buffer, buffer.count) }
        return count == 0 ? nil : ByteString(buffer[..<count]).dropFirst(1)
    }
}

extension Handoff {
    /// Returns once the copy is the target; fails if it has ended before.
    func awaitExec(_ enrolment: borrowing Enrolment, until deadline: Deadline) throws(Failure) {
        let object: ByteString = "pid \(enrolment.process.identity.pid)"
        let obstacle = try step("wait for", object) { () throws(Errno) in
            try enrolment.exec.awaitExec(until: deadline)
        }
        // That it is about to end is the same as that it has: the reason is known a moment later.
        if obstacle != nil { _ = try? enrolment.process.waitForExit(until: Deadline(after: .seconds(1))) }
        guard obstacle == nil, !enrolment.process.hasExited else {
            throw Failure(
                .negative, "wait for", object,
                enrolment.process.hasExited ? endReason(of: enrolment.process) : "the target was not started")
        }
    }
}
