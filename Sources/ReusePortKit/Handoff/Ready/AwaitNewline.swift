import CLinux

/// Ready when a newline comes through the pipe, as with s6.
func awaitNewline(
    on pipe: borrowing Descriptor, descriptor: Int32, _ watch: inout Watch
) throws(NotReady) {
    watch.expect(.noNewline(descriptor: descriptor))
    let number = pipe.number
    var buffer = [UInt8](repeating: 0, count: 512)
    while true {
        _ = try watch.wait(for: POLLIN, on: number)
        let count = try orNotReady("read", "pipe of descriptor \(descriptor)") { () throws(Errno) in
            try uninterrupted { read(number, &buffer, buffer.count) }
        }
        if buffer.prefix(count).contains(UInt8(ascii: "\n")) { return }
        if count == 0 {
            // A process that ends closes its descriptors first. Its end is the better reason, so wait for that.
            _ = try watch.wait(atMost: 200)
            throw .failed(
                Failure(
                    .negative, "wait for", "", "it closed descriptor \(descriptor) without a newline"))
        }
    }
}
