import CLinux

/// The library of dialect `adopt`: beside the launcher where it was built, in `../lib` where it was installed.
func findPreloadLibrary(_ plan: Plan) throws(Failure) -> ByteString {
    var path: ByteString = "reuseport-adopt.so"
    let fault = try step(
        "find", path, remedy: { _ in "dialects adopt and nodesockd need it; make install puts it there" }
    ) { () throws(Errno) in
        let launcher = try readLink("exe", in: open("/proc/self", CLINUX_O_PATH))
        let folder = directory(of: launcher)
        path = "\(folder)/\(path)"
        if path.withCString({ access($0, F_OK) }) != 0 {
            path = "\(directory(of: folder))/lib/reuseport-exec/reuseport-adopt.so"
        }
        return try libraryFault(path, plan.identity)
    }
    if let fault { throw Failure(.system, "preload", path, fault) }
    return path
}

/// Why the library is not to be loaded; nil if nothing speaks against it.
///
/// Whatever is in it runs with the rights of the target, so for root nobody else may have had a hand in it, or in a
/// directory on the way to it.
private func libraryFault(_ path: ByteString, _ identity: Identity) throws(Errno) -> ByteString? {
    // LD_PRELOAD is a list with colons or blanks between, and a dollar begins a token of ld.so(8).
    for byte in path.bytes where isBlank(byte) || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "$") {
        return "LD_PRELOAD has no way to say this path"
    }
    var place: ByteString = "/"
    for part in path.split(on: UInt8(ascii: "/")) {
        place = resolve(part, against: place)
        let info = try status(of: open(place, CLINUX_O_PATH | O_NOFOLLOW))
        if info.isSymbolicLink { return "\(place) is a symbolic link" }
        let isSticky = info.isDirectory && info.mode & 0o1000 != 0
        let strangers: UInt32 = info.group == 0 ? 0o002 : 0o022
        if geteuid() == 0, info.owner != 0 || info.mode & strangers != 0 && !isSticky {
            return "others than root may write to \(place)"
        }
        if !identity.may(info.isDirectory ? 0o1 : 0o4, info) {
            return "the target's user cannot get at it: see the mode of \(place)"
        }
    }
    return nil
}

extension Identity {
    /// Whether its user has these rights to a file; the caller's own are not looked at.
    fileprivate func may(_ rights: UInt32, _ file: FileStatus) -> Bool {
        guard let user, user != 0 else { return true }
        let isMember = group == file.group || groups?.contains(file.group) == true
        let shift: UInt32 = user == file.owner ? 6 : isMember ? 3 : 0
        return file.mode >> shift & rights == rights
    }
}
