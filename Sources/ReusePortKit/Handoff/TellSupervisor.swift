import CLinux

extension Handoff {
    /// Says that the copy has taken over, in the way of the supervisor that started it.
    func tellSupervisor(_ enrolment: borrowing Enrolment, _ pid: Int32) {
        if let number = enrolment.request.notifyDescriptor {
            // s6: a newline on the notification descriptor, which is then closed.
            _ = clinux_write_newline(number)
            _ = CLinux.close(number)
        }
        if let path = environmentVariable("NOTIFY_SOCKET"), let mark = path.bytes.first,
            mark == UInt8(ascii: "/") || mark == UInt8(ascii: "@"),
            let messenger = try? socket(family: AF_UNIX, type: Int32(SOCK_DGRAM.rawValue))
        {
            // systemd: the unit needs NotifyAccess=all, for it is not the main process that says so.
            let message: ByteString = "READY=1\nMAINPID=\(pid)\nSTATUS=generation \(label) has taken over\n"
            path.bytes.withUnsafeBytes { path in
                message.bytes.withUnsafeBytes { message in
                    _ = clinux_send_to_unix(
                        messenger.number, path.baseAddress!.assumingMemoryBound(to: CChar.self), path.count,
                        message.baseAddress, message.count)
                }
            }
        }
    }
}
