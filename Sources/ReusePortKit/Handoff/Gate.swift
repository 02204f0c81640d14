import CLinux

/// Where copies wait until they are registered: the end of deploy lets none of them through.
struct Gate: ~Copyable {
    private let reader: Descriptor
    private let writer: Descriptor

    init() throws(Errno) {
        let pipe = try PipeEnds()
        reader = pipe.reader
        writer = pipe.writer
    }

    /// Lets so many through.
    func open(for count: Int) {
        let bytes = [UInt8](repeating: 1, count: count)
        _ = write(writer.number, bytes, count)
    }

    /// A copy waits; false if it is not to go on. Its own writing end is closed: it would keep the gate from closing.
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
