import CLinux

extension Coordinator {
    /// Tells the supervisor that started the copy that it has taken over. Copies of a command have no supervisor.
    func tellSupervisor() {
        guard role == .helper else { return }
        if let number = request.notifyDescriptor {
            // s6: a newline on the notification descriptor, which is then closed.
            _ = clinux_write_newline(number)
            _ = CLinux.close(number)
        }
        guard let path = notifySocket() else { return }
        let pid = members[0].pid
        let message: ByteString =
            "READY=1\nMAINPID=\(pid)\nSTATUS=generation \(generation.label) has taken over\n"
        // In the name of the copy, which is the unit's main process: systemd listens to others with NotifyAccess=all only.
        if send(message, to: path, as: pid) == .notPermitted { _ = send(message, to: path, as: getpid()) }
    }
}

/// Refuses a unit whose systemd would not hear from a helper that its copy has taken over: it would end the copy at
/// TimeoutStartSec, when the old one has gone.
func checkNotifyAccess() throws(Failure) {
    // Nothing can be sent to /, but the kernel first looks whether we may speak for others (CAP_SYS_ADMIN).
    guard notifySocket() != nil, send("", to: "/", as: getppid()) == .notPermitted,
        let supervisor = Supervisor.current(), let access = supervisor.show("NotifyAccess").first,
        access == "NotifyAccess=main" || access == "NotifyAccess=exec"
    else { return }
    throw .usage(
        "hand over", supervisor.description, "with \(access), and without root, systemd would not hear of it",
        remedy: "write NotifyAccess=all into the unit, or start it as root, with --user")
}
