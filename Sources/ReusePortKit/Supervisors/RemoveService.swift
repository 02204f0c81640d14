import CLinux

/// Removes a service directory whose process has gone: hides it from its supervisor first, then deletes it.
func removeService(_ name: ByteString, from scan: ScanDirectory) throws(Failure) {
    guard let hidden = try hideService(name, in: scan) else { return }
    try removeHidden(hidden, from: scan, patience: .seconds(10))
}

/// Gives a service directory a name that its supervisor ignores, and tells that to end. Returns the name; nil if another
/// process has hidden or removed it meanwhile.
func hideService(_ name: ByteString, in scan: ScanDirectory) throws(Failure) -> ByteString? {
    // A hidden one is being removed already: the finish script may run in it.
    guard !name.hasPrefix("."), scan.marker(of: name) != nil else { return nil }
    let path: ByteString = "\(scan.path)/\(name)"
    let hidden: ByteString = ".\(name).\(getpid()).old"
    do throws(Errno) {
        // With this file a supervisor that sees it only now does not start it.
        let directory = try open(name, in: scan.folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        _ = reason { () throws(Errno) in try makeFile("down", "", mode: 0o644, in: directory) }
        try rename(name, to: hidden, in: scan.folder)
    } catch {
        if error == .noEntry { return nil }
        throw Failure("remove", "service \(path)", error)
    }
    // A failure is no reason to keep it: runsvdir ends the supervisors of missing services by itself.
    _ = try? scan.tellToForget(hidden)
    return hidden
}

/// Removes a hidden service directory as soon as its supervisor has ended.
func removeHidden(
    _ name: ByteString, from scan: ScanDirectory, patience: Milliseconds
) throws(Failure) {
    let deadline = Deadline(after: patience)
    var pause = Pause()
    try step("remove", "service \(scan.path)/\(name)") { () throws(Errno) in
        while true {
            let isLast = deadline.hasPassed
            if isLast || !scan.isSupervised(name) {
                let obstacle = reason { () throws(Errno) in
                    try removeTree(name, in: scan.folder, last: ServiceMarker.fileName)
                }
                // Its finish script may have removed it meanwhile.
                guard let obstacle, obstacle != .noEntry else { return }
                // A supervisor that had only just been started when the directory was hidden writes into it.
                if isLast || obstacle.rawValue != ENOTEMPTY { throw obstacle }
            }
            pause.wait(until: deadline)
        }
    }
}

/// Removes what killed invocations have left under hidden names.
func sweepServices(of app: ByteString, in scan: ScanDirectory) {
    for name in entryNames(of: scan.folder) where name.hasPrefix(".\(app)-") {
        let isNew = name.hasSuffix(".new")
        guard isNew || name.hasSuffix(".old"), let info = try? status(of: name, in: scan.folder),
            info.isDirectory, info.owner == geteuid()
        else { continue }
        // Another invocation may be writing or removing it.
        if info.modified + 60 > secondsSince1970() || scan.isSupervised(name) { continue }
        if let marker = scan.marker(of: name) {
            if marker.app != app { continue }
            _ = reason { () throws(Errno) in try removeTree(name, in: scan.folder, last: ServiceMarker.fileName) }
        } else {
            // The marker is written first and removed last: without it the directory is empty, or not deploy's.
            _ = reason { () throws(Errno) in try removeDirectory(name, in: scan.folder) }
        }
    }
}

extension ScanDirectory {
    /// Has the supervisor of a hidden service directory end as soon as its service has.
    fileprivate func tellToForget(_ name: ByteString) throws(Failure) {
        if isS6 {
            // `a`: look for services; `n`: end the supervisors of missing ones.
            _ = try ControlCommand.send(UInt8(ascii: "a"), to: path, pipe: ".s6-svscan/control")
            _ = try ControlCommand.send(UInt8(ascii: "n"), to: path, pipe: ".s6-svscan/control")
        } else {
            _ = try ControlCommand.send(UInt8(ascii: "x"), to: "\(path)/\(name)")
        }
    }
}
