import CLinux

/// A command that was written to the control pipe of a runsv, s6-supervise or s6-svscan.
struct ControlCommand: ~Copyable {
    private let pipe: Descriptor

    /// Writes a command to `pipe` in a service directory, or in the scan directory of an s6-svscan. Nil if no process
    /// has the pipe open to read it (ENXIO): then no supervisor starts the service again.
    ///
    /// Others must not be able to put another file there: the pipe must be a FIFO of root or this user, in a directory
    /// that only they may write to. Links on the way (some keep `supervise` in /run) must belong to them as well.
    static func send(
        _ command: UInt8, to directory: ByteString, pipe: ByteString = "supervise/control"
    ) throws(Failure) -> ControlCommand? {
        let path: ByteString = "\(directory)/\(pipe)"
        let place = try followPath(path, object: path)
        let (directory, file) = try step("open", path) { () throws(Errno) in
            (try status(of: place.directory), try status(of: place.name, in: place.directory))
        }
        guard directory.isOwn, directory.mode & 0o022 == 0 else {
            throw Failure(.system, "trust", path, "others may write to its directory")
        }
        // From here on only root or this user could replace the file.
        guard file.isFIFO, file.isOwn else {
            throw Failure(.system, "trust", path, "it is not a FIFO that belongs to root or to this user")
        }
        do throws(Errno) {
            return ControlCommand(pipe: try write(command, to: place))
        } catch {
            if error.rawValue == ENXIO { return nil }
            throw Failure("write to", path, error, remedy: error == .accessDenied ? accessRemedy : nil)
        }
    }

    /// Whether the supervisor has read the command. runsv and s6-supervise act on a command before they look at the next
    /// event, so a copy that is alive now was alive when the supervisor acted. (FIONREAD works at a pipe's writing end
    /// too.)
    var isRead: Bool {
        var count: Int32 = 0
        // This cannot fail for a pipe.
        _ = withUnsafeMutablePointer(to: &count) {
            clinux_syscall(Int(SYS_ioctl), Int(pipe.number), Int(FIONREAD), Int(bitPattern: $0), 0, 0, 0)
        }
        return count == 0
    }
}

private var accessRemedy: ByteString {
    "start reuseport-exec as the user that runs the supervisor, and let it change with --user"
}

private func write(_ command: UInt8, to place: borrowing FollowedPath) throws(Errno) -> Descriptor {
    let pipe = try open(place.name, in: place.directory, O_WRONLY | O_NONBLOCK | O_NOFOLLOW)
    let number = pipe.number
    var command = command
    try uninterrupted { CLinux.write(number, &command, 1) }
    return pipe
}
