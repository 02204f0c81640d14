import CLinux

/// Finds the library of dialect `adopt`: beside a launcher that was built, in `../lib` of one that was installed.
func findPreloadLibrary(_ plan: Plan) throws(Failure) -> ByteString {
    var path: ByteString = "reuseport-adopt.so"
    let fault = try step(
        "find", path, remedy: { _ in "dialects adopt and nodesockd need it; make install puts it there" }
    ) { () throws(Errno) in
        let launcher = try executable(of: getpid())
        let folder = directory(of: launcher)
        path = "\(folder)/\(path)"
        if !exists(path) { path = "\(directory(of: folder))/lib/reuseport-exec/reuseport-adopt.so" }
        return try libraryFault(path, plan.identity)
    }
    if let fault { throw Failure(.system, "preload", path, fault) }
    return path
}

/// Why the library must not or cannot be loaded; nil if it can.
///
/// It runs with the target's rights, so for root nobody else may be able to write to it or to a directory above it.
private func libraryFault(_ path: ByteString, _ identity: Identity) throws(Errno) -> ByteString? {
    // Colons and blanks separate the entries of LD_PRELOAD, and a dollar begins a token of ld.so(8).
    for byte in path.bytes where isBlank(byte) || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "$") {
        return "LD_PRELOAD cannot hold a path with blanks, ':' or '$'"
    }
    var place: ByteString = "/"
    for part in path.split(on: UInt8(ascii: "/")) {
        place = resolve(part, against: place)
        let info = try status(of: open(place, CLINUX_O_PATH | O_NOFOLLOW))
        if info.isSymbolicLink { return "\(place) is a symbolic link" }
        let isSticky = info.isDirectory && info.mode & 0o1000 != 0
        let othersMayWrite: UInt32 = info.group == 0 ? 0o002 : 0o022
        if geteuid() == 0, info.owner != 0 || info.mode & othersMayWrite != 0 && !isSticky {
            return "others than root may write to \(place)"
        }
        if !identity.may(info.isDirectory ? 0o1 : 0o4, info) {
            return "the target's user may not read it: see the mode of \(place)"
        }
    }
    return nil
}

extension Identity {
    /// Whether its user has these rights to a file; true if it is the caller's.
    fileprivate func may(_ rights: UInt32, _ file: FileStatus) -> Bool {
        guard let user, user != 0 else { return true }
        let isMember = group == file.group || groups?.contains(file.group) == true
        let shift: UInt32 = user == file.owner ? 6 : isMember ? 3 : 0
        return file.mode >> shift & rights == rights
    }
}
