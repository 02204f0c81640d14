import CLinux

/// A pipe whose writing end closes by itself with the exec, so that the reader learns when the copy has become the
/// target.
///
/// Until then the copy is the launcher, whose last steps can still fail: a generation that takes over "as soon as it
/// runs" must not do so for a command that does not exist.
struct ExecPipe: ~Copyable {
    let watch: ExecWatch
    let report: ExecReport

    /// `lowest`: the first number to which no descriptor of the target will be moved.
    static func make(from lowest: Int32) throws(Failure) -> ExecPipe {
        let pipe = try step("make", "pipe to the helper", remedy: descriptorRemedy) { () throws(Errno) in
            try PipeEnds()
        }
        let aside = try step("move", "pipe to the helper", remedy: { placeRemedy($0, lowest) }) { () throws(Errno) in
            try pipe.writer.duplicate(from: lowest)
        }
        return ExecPipe(watch: ExecWatch(reader: pipe.reader), report: ExecReport(writer: aside))
    }
}

/// The launcher's end.
struct ExecReport: ~Copyable {
    let writer: Descriptor

    /// Says why there will be no exec, in one write(2), so that it is read as a whole.
    borrowing func tell(_ failure: Failure) {
        let text = ByteString("!\(failure.message)").prefix(Int(PIPE_BUF))
        _ = text.bytes.withUnsafeBytes { write(writer.number, $0.baseAddress, $0.count) }
    }
}

/// What has become of a launcher.
enum ExecOutcome: Equatable {
    /// It is the target by now.
    case executed
    /// It failed, and said so.
    case failed(ByteString)
    /// It has gone without a word, or the deadline has passed.
    case unknown
}

/// The coordinator's end.
struct ExecWatch: ~Copyable {
    let reader: Descriptor

    borrowing func outcome(until deadline: Deadline) throws(Errno) -> ExecOutcome {
        guard try waitForEvents(POLLIN, on: reader, until: deadline) else { return .unknown }
        var buffer = [UInt8](repeating: 0, count: Int(PIPE_BUF))
        let number = reader.number
        let count = try uninterrupted { read(number, &buffer, buffer.count) }
        return count == 0 ? .executed : .failed(ByteString(buffer[..<count]).dropFirst(1))
    }
}
