import CLinux

/// A pipe whose writing end closes with the exec, so that the reader learns when the copy has become the target.
///
/// Until then the copy is the launcher, whose last steps can fail: a generation must not take over for a command that
/// does not exist.
struct ExecPipe: ~Copyable {
    let watch: ExecWatch
    let report: ExecReport

    /// `lowest` is above all numbers to which the target's descriptors will be moved.
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

    /// Reports why there will be no exec, in one write(2), so that one read(2) gets all of it.
    borrowing func tell(_ failure: Failure) {
        let text = failure.message.prefix(Int(PIPE_BUF))
        _ = text.bytes.withUnsafeBytes { write(writer.number, $0.baseAddress, $0.count) }
    }
}

/// How a launcher's exec went.
enum ExecOutcome: Equatable {
    case executed
    /// The launcher failed with this message.
    case failed(ByteString)
    /// The deadline passed before.
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
        return count == 0 ? .executed : .failed(ByteString(buffer[..<count]))
    }
}
