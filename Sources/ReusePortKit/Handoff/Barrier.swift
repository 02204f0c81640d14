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

    /// Lets this many copies through.
    func open(for count: Int) {
        let bytes = [UInt8](repeating: 1, count: count)
        _ = write(writer.number, bytes, count)
    }

    /// Waits in a copy; false if the command has ended. Closes the copy's own writing end, which would hide that end.
    func pass() -> Bool {
        close(writer.number)
        var byte: UInt8 = 0
        while true {
            let count = read(reader.number, &byte, 1)
            if count == -1, Errno.current == .interrupted { continue }
            return count == 1
        }
    }
}
