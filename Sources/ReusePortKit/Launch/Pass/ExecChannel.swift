import CLinux

/// Tells another process that the target has been executed: a pipe whose write end the exec closes.
///
/// Until then this process is the launcher, whose last steps can still fail: whoever takes a program for ready as soon
/// as it runs must not do so for a command that does not exist.
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

    /// Says, in the launcher, why there will be no exec. It is one write(2), and so read as a whole.
    func tell(_ failure: Failure) {
        switch writer {
        case .some(let writer):
            let text = ByteString("!\(failure.message)").prefix(Int(PIPE_BUF))
            _ = text.bytes.withUnsafeBytes { write(writer.number, $0.baseAddress, $0.count) }
        case .none: break
        }
    }

    /// Closes the write end in the process that waits, which otherwise would never see the pipe's end.
    mutating func closeWriter() { writer = nil }

    /// Waits for the exec. Answers nil once it has happened, otherwise why it has not: empty if that was not said.
    func awaitExec(until deadline: Deadline) throws(Errno) -> ByteString? {
        guard try waitForEvents(POLLIN, on: reader, until: deadline) else { return "" }
        var buffer = [UInt8](repeating: 0, count: Int(PIPE_BUF))
        let number = reader.number
        let count = try uninterrupted { read(number, &buffer, buffer.count) }
        return count == 0 ? nil : ByteString(buffer[..<count]).dropFirst(1)
    }
}
