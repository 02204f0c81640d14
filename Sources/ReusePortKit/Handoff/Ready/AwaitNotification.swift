import CLinux

/// Ready when `READY=1` comes from the copy, or from a process that it has started, as sd_notify(3) has it.
func awaitNotification(
    from pid: Int32, on socket: borrowing Descriptor, _ watch: inout Watch
) throws(Interruption) {
    watch.seen = "no READY=1 came"
    let number = socket.number
    while true {
        _ = try watch.wait(for: POLLIN, on: number)
        // As much as the notification protocol allows.
        var buffer = [UInt8](repeating: 0, count: 4096)
        var sender = clinux_ucred()
        let count = clinux_receive_credentials(number, &buffer, buffer.count, &sender)
        if count == -1 {
            switch Errno.current {
            case .again, .interrupted, Errno(rawValue: EBADMSG): continue
            case let reason: throw .failed(Failure("receive", "notification", reason))
            }
        }
        // The name can be seen by all, so anybody can send.
        guard descends(sender.pid, from: pid) else {
            watch.log.detail("ignored a message from pid \(sender.pid), which is not of the copy")
            continue
        }
        var isReady = false
        for line in ByteString(buffer.prefix(count)).split(on: UInt8(ascii: "\n")) {
            if line == "READY=1" {
                isReady = true
            } else if line.hasPrefix("STATUS=") {
                watch.see("its status is '\(line.dropFirst(7))'")
            } else if line == "STOPPING=1" {
                watch.see("it says that it is stopping")
            } else if line.hasPrefix("ERRNO="), let code = line.dropFirst(6).decimal, code < 4096 {
                watch.see("it says that it failed: \(Errno(rawValue: Int32(code)).description)")
            }
        }
        if isReady { return }
    }
}

/// Whether a process is `ancestor` or has it among its parents. One that has ended since is nobody's: that it was the
/// copy's cannot be known any more.
private func descends(_ pid: Int32, from ancestor: Int32) -> Bool {
    var next = pid
    var steps = 0
    // 0 stands for a process outside of our pid namespace, and for the parent of the first in it.
    while next > 0, steps < 100 {
        if next == ancestor { return true }
        guard let status = try? ProcessStatus(of: next) else { return false }
        next = status.parent
        steps += 1
    }
    return false
}
