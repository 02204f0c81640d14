import CLinux

/// A pipe at which copies wait until they are registered. If the command ends before, none of them gets through.
struct Barrier: ~Copyable {
    private let reader: Descriptor
    private let writer: Descriptor

    init() throws(Errno) {
        let pipe = try PipeEnds()
        reader = pipe.reader
        writer = pipe.writer
    }

    /// Lets this many copies through, each with the number of its start.
    func open(for count: Int, from first: UInt64) {
        // Each read(2) gets a whole number, and the pipe has room for all.
        for index in 0..<count {
            var number = first + UInt64(index)
            _ = write(writer.number, &number, 8)
        }
    }

    /// Waits in a copy; nil if the command has ended. Closes the copy's own writing end, which would hide that end.
    func pass() -> UInt64? {
        close(writer.number)
        var number: UInt64 = 0
        while true {
            let count = read(reader.number, &number, 8)
            if count == -1, Errno.current == .interrupted { continue }
            return count == 8 ? number : nil
        }
    }
}
