import CLinux

extension Coordinator {
    /// Tells the supervisor that started the copy that it has taken over. Copies of a command have no supervisor.
    borrowing func tellSupervisor() {
        guard role == .helper else { return }
        if let number = request.notifyDescriptor {
            // s6: a newline on the notification descriptor, which is then closed.
            _ = clinux_write_newline(number)
            _ = CLinux.close(number)
        }
        if let path = environmentVariable("NOTIFY_SOCKET"), let mark = path.bytes.first,
            mark == UInt8(ascii: "/") || mark == UInt8(ascii: "@"),
            let messenger = try? socket(family: AF_UNIX, type: Int32(SOCK_DGRAM.rawValue))
        {
            // systemd: the unit needs NotifyAccess=all, because a process other than the main one says so.
            let message: ByteString =
                "READY=1\nMAINPID=\(members[0].pid)\nSTATUS=generation \(generation.label) has taken over\n"
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
