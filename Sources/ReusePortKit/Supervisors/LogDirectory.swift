import CLinux

/// The directory for logs without `--log`: `/var/log/reuseport-exec` for root, in XDG_STATE_HOME or ~/.local/state for
/// others (XDG Base Directory Specification).
func usualLogDirectory() throws(Failure) -> ByteString {
    if geteuid() == 0 { return "/var/log/reuseport-exec" }
    if let state = environmentVariable("XDG_STATE_HOME"), state.hasPrefix("/") { return "\(state)/reuseport-exec" }
    guard let home = environmentVariable("HOME"), home.hasPrefix("/") else {
        throw .usage(
            "find", "the place for logs", "neither XDG_STATE_HOME nor HOME is set",
            remedy: "set one, or give --log FILE")
    }
    return "\(home)/.local/state/reuseport-exec"
}

/// The file of an app in that directory.
func usualLog(of app: ByteString) throws(Failure) -> ByteString { "\(try usualLogDirectory())/\(app).log" }

/// Makes a directory for logs with this mode, and the missing ones above it with mode 755.
func makeLogDirectory(_ path: ByteString, mode: mode_t) throws(Failure) {
    var above = path
    var missing: [ByteString] = []
    while above != "/", above.withCString({ access($0, F_OK) }) != 0 {
        missing.append(lastComponent(of: above))
        above = directory(of: above)
    }
    while let name = missing.popLast() {
        above = "\(above == "/" ? "" : above)/\(name)"
        let place = try followPath(above, object: path)
        try step("make", "log directory \(path)", remedy: { _ in "give --log FILE" }) { () throws(Errno) in
            do throws(Errno) {
                _ = try makeDirectory(place.name, mode: missing.isEmpty ? mode : 0o755, in: place.directory)
            } catch {
                // Another copy may have made it meanwhile.
                if error != .exists { throw error }
            }
        }
    }
}

/// Makes a log directory that only this user and root may write to.
func makeOwnLogDirectory(_ path: ByteString) throws(Failure) {
    try makeLogDirectory(path, mode: 0o750)
    // Looks at the directory that the path leads to now: others may have put another one there.
    let place = try followPath(path, object: path)
    let info = try step("open", "log directory \(path)") { () throws(Errno) in
        try status(of: open(place.name, in: place.directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
    }
    guard info.owner == geteuid(), info.mode & 0o022 == 0 else {
        throw Failure(
            .system, "trust", "log directory \(path)", "others own it or may write it", remedy: "give another --log")
    }
}

/// Removes the log directories of a deployment's copies, and the folder around them if that is empty.
@inline(never)
func removeLogs(of deployment: Deployment) {
    guard let path = deployment.logFolder, !deployment.label.isEmpty,
        let logs = try? ScanDirectory.open(path, isS6: false)
    else { return }
    for name in entryNames(of: logs.folder) where name.hasPrefix("\(deployment.label)-") {
        guard name.dropFirst(deployment.label.count + 1).decimal != nil else { continue }
        _ = reason { () throws(Errno) in try removeTree(name, in: logs.folder) }
    }
    // Fails as long as there is something in it.
    _ = reason { () throws(Errno) in try removeDirectory("../\(lastComponent(of: path))", in: logs.folder) }
}
