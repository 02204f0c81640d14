import CLinux

/// The locks of an app. A process that needs several takes them in this order; if it holds a later one already, it takes
/// an earlier one only without waiting.
enum RegistryLock {
    /// Held while deploy writes services that the registry does not know yet.
    case deploy
    /// Held while copies join or leave reuseport groups whose places matter.
    case groups
    /// Held while the registry's files are read and changed.
    case records
    /// In the run directory, for all its apps: held from the check that no other app listens on an address until this
    /// app's listener is recorded.
    case addresses

    fileprivate var fileName: ByteString {
        switch self {
        case .deploy: "deploy.lock"
        case .groups: "group.lock"
        case .records: "lock"
        case .addresses: ".lock"
        }
    }
}

/// How long an invocation waits for a lock.
extension Deadline {
    /// Not at all: another holder has precedence.
    static var noWait: Deadline { Deadline(moment: 0) }
    /// For the records: they are locked for moments, so 30 seconds mean that something is wrong, even if 64 launchers
    /// take turns on a busy host.
    static var records: Deadline { Deadline(after: .seconds(30)) }
    /// In commands without --lock-timeout: as long as its default.
    static var command: Deadline { Deadline(after: .seconds(60)) }
}

extension Registry {
    /// Takes one of the app's locks by flock(2). Closing the descriptor releases it.
    func lock(
        _ lock: RegistryLock = .records, until deadline: Deadline = .records
    ) throws(Failure) -> Descriptor {
        let name = lock.fileName
        let file = try step("open", "\(path)/\(name)") { () throws(Errno) in
            try ReusePortKit.open(name, in: folder, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        }
        let number = file.number
        var pause: Int32 = 1
        while flock(number, LOCK_EX | LOCK_NB) != 0 {
            let reason = Errno.current
            guard reason.rawValue == EWOULDBLOCK || reason == .interrupted else {
                throw Failure("lock", "\(path)/\(name)", reason)
            }
            if deadline.hasPassed {
                throw Failure(
                    .negative, "lock", "app \(app)", "another invocation holds \(path)/\(name)",
                    remedy: "see fuser \(path)/\(name), or wait longer with --lock-timeout")
            }
            // flock(2) has no timeout, and no event tells when the lock is free.
            _ = poll(nil, 0, pause)
            pause = min(pause * 2, 16)
        }
        return file
    }
}
