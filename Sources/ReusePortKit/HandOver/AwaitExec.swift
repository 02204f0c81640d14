import CLinux

/// By what the helper learns that the copy has become the target: a pipe whose write end closes by itself with the exec.
///
/// Until then the copy is the launcher, whose last steps can still fail: a generation that takes over "as soon as it
/// runs" must not do so for a command that does not exist.
struct ExecChannel: ~Copyable {
    let reader: Descriptor
    private let writer: Descriptor

    /// `lowest`: the first number that nothing of the target's will be moved to.
    static func make(from lowest: Int32) throws(Failure) -> ExecChannel {
        var ends: [Int32] = [-1, -1]
        try step("make", "pipe to the helper", remedy: descriptorRemedy) { () throws(Errno) in
            try checked(pipe2(&ends, O_CLOEXEC))
        }
        let reader = Descriptor(owning: ends[0])
        let writer = Descriptor(owning: ends[1])
        let aside = try step("move", "pipe to the helper", remedy: { placeRemedy($0, lowest) }) { () throws(Errno) in
            try writer.duplicate(from: lowest)
        }
        return ExecChannel(reader: reader, writer: aside)
    }

    private init(reader: consuming Descriptor, writer: consuming Descriptor) {
        self.reader = reader
        self.writer = writer
    }

    /// The launcher: it has not come to the exec.
    func tellFailure() { _ = write(writer.number, "!", 1) }
}

extension Handoff {
    /// Returns once the copy is the target; fails if it has ended before.
    func awaitExec(_ enrolment: borrowing Enrolment, until deadline: Deadline) throws(Failure) {
        let object: ByteString = "pid \(enrolment.process.identity.pid)"
        try step("wait for", object) { () throws(Errno) in
            _ = try waitForEvents(POLLIN, on: enrolment.exec.reader, until: deadline)
        }
        var byte: UInt8 = 0
        let number = enrolment.exec.reader.number
        let count =
            deadline.hasPassed
            ? 1
            : try step("read", "pipe of \(object)") { () throws(Errno) in
                try uninterrupted { read(number, &byte, 1) }
            }
        // That it is about to end is the same as that it has: the reason is known a moment later.
        if count == 1 { _ = try? enrolment.process.waitForExit(until: Deadline(after: .seconds(1))) }
        guard count == 0, !enrolment.process.hasExited else {
            throw Failure(
                .negative, "wait for", object,
                enrolment.process.hasExited ? endReason(of: enrolment.process) : "the target was not started")
        }
    }
}
