import CLinux

/// Ready when `READY=1` comes from the copy, or from a process that it has started, as with sd_notify(3).
func awaitNotification(
    from pid: Int32, on socket: borrowing Descriptor, _ watch: inout Watch
) throws(NotReady) {
    watch.expect(.noNotification)
    let number = socket.number
    while true {
        _ = try watch.wait(for: POLLIN, on: number)
        // The notification protocol allows no longer message.
        let message: ReceivedMessage
        do throws(Errno) {
            message = try receiveMessage(number, atMost: 4096)
        } catch {
            switch error {
            case .again, .timedOut: continue
            default: throw .failed(Failure("receive", "notification", error))
            }
        }
        // The socket's name can be seen by all, so anybody can send.
        guard isTrusted(message.sender, for: pid) else {
            watch.mention(.ignoredMessage(from: message.sender.pid))
            continue
        }
        if isReady(message.text, &watch) { return }
    }
}

/// Whether a message comes from the copy or a process that it has started. The number of one that has ended may be
/// another's by now: then also the user must be the same, unless it was root's.
private func isTrusted(_ sender: clinux_ucred, for copy: Int32) -> Bool {
    descends(sender.pid, from: copy) && (sender.uid == 0 || (try? userID(of: sender.pid, real: true)) == sender.uid)
}

/// Reads one message, of a line for each variable.
private func isReady(_ message: ByteString, _ watch: inout Watch) -> Bool {
    var isReady = false
    for line in message.split(on: UInt8(ascii: "\n")) {
        if line == "READY=1" {
            isReady = true
        } else if line.hasPrefix("STATUS=") {
            watch.see(.status(line.dropFirst(7)))
        } else if line == "STOPPING=1" {
            watch.see(.stopping)
        } else if line.hasPrefix("ERRNO="), let code = line.dropFirst(6).decimal, code < 4096 {
            watch.see(.failing(Errno(rawValue: Int32(code))))
        }
    }
    return isReady
}

/// Whether a process is `ancestor` or has it among its parents. False for one that has ended, because its parents cannot
/// be found any more.
private func descends(_ pid: Int32, from ancestor: Int32) -> Bool {
    var next = pid
    var steps = 0
    // 0 is a process outside of our pid namespace, or the parent of the first process in it.
    while next > 0, steps < 100 {
        if next == ancestor { return true }
        guard let status = try? ProcessStatus(of: next) else { return false }
        next = status.parent
        steps += 1
    }
    return false
}
