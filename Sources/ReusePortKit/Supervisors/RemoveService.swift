import CLinux

/// Removes a service directory of ours whose process has gone: first from its supervisor's sight, then altogether.
func removeService(_ name: ByteString, from scan: borrowing ScanDirectory) throws(Failure) {
    guard let hidden = try hideService(name, in: scan) else { return }
    try removeHidden(hidden, from: scan, patience: .seconds(10))
}

/// Gives a service directory of ours a name that its supervisor passes over, and tells that to end; answers the name,
/// nil if somebody else has done it meanwhile.
func hideService(_ name: ByteString, in scan: borrowing ScanDirectory) throws(Failure) -> ByteString? {
    // What is hidden already has somebody who removes it: the finish script finds itself in it.
    guard !name.hasPrefix("."), scan.marker(of: name) != nil else { return nil }
    let path: ByteString = "\(scan.path)/\(name)"
    let hidden: ByteString = ".\(name).\(getpid()).old"
    do throws(Errno) {
        // A supervisor that comes to it only now does not start anything.
        let directory = try open(name, in: scan.folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        _ = reason { () throws(Errno) in try makeFile("down", "", mode: 0o644, in: directory) }
        try rename(name, to: hidden, in: scan.folder)
    } catch {
        if error == .noEntry { return nil }
        throw Failure("remove", "service \(path)", error)
    }
    // That nobody is told is no reason to keep it: runsvdir ends what it does not find any more by itself.
    _ = try? scan.tellToForget(hidden)
    return hidden
}

/// Removes a hidden service directory as soon as its supervisor has let go of it.
func removeHidden(
    _ name: ByteString, from scan: borrowing ScanDirectory, patience: Milliseconds
) throws(Failure) {
    let deadline = Deadline(after: patience)
    var pause = Pause()
    while scan.isSupervised(name), !deadline.hasPassed { pause.wait(until: deadline) }
    try step("remove", "service \(scan.path)/\(name)") { () throws(Errno) in
        do throws(Errno) {
            try removeTree(name, in: scan.folder, last: ServiceMarker.fileName)
        } catch {
            // Its finish script may have removed it meanwhile.
            if error != .noEntry { throw error }
        }
    }
}

/// Removes what an invocation that was killed has left under hidden names.
func sweepServices(of app: ByteString, in scan: borrowing ScanDirectory) {
    for name in entryNames(of: scan.folder) where name.hasPrefix(".\(app)-") {
        let isNew = name.hasSuffix(".new")
        guard isNew || name.hasSuffix(".old"), let info = try? status(of: name, in: scan.folder),
            info.isDirectory, info.owner == geteuid()
        else { continue }
        // Somebody may be about to write it, or to remove it.
        if info.modified + 60 > secondsSince1970() || scan.isSupervised(name) { continue }
        if let marker = scan.marker(of: name) {
            if marker.app != app { continue }
            _ = reason { () throws(Errno) in try removeTree(name, in: scan.folder, last: ServiceMarker.fileName) }
        } else {
            // The marker comes first and goes last: without it there is nothing else, or it is not ours.
            _ = reason { () throws(Errno) in try removeDirectory(name, in: scan.folder) }
        }
    }
}

extension ScanDirectory {
    /// Has the supervisor of a hidden service directory end as soon as its service has.
    fileprivate borrowing func tellToForget(_ name: ByteString) throws(Failure) {
        if isS6 {
            // Look again, and end the supervisors of what is not there any more.
            _ = try ControlCommand.send(UInt8(ascii: "a"), to: path, pipe: ".s6-svscan/control")
            _ = try ControlCommand.send(UInt8(ascii: "n"), to: path, pipe: ".s6-svscan/control")
        } else {
            _ = try ControlCommand.send(UInt8(ascii: "x"), to: "\(path)/\(name)")
        }
    }
}
