import CLinux

/// The library of dialect `adopt`: beside the launcher where it was built, in `../lib` where it was installed.
///
/// Whatever is in it runs with the rights of the target, so for root nobody else may have had a hand in it.
func findPreloadLibrary(_ plan: Plan) throws(Failure) -> ByteString {
    let launcher = try step("find", "the launcher's own file") { () throws(Errno) in
        try readLink("exe", in: open("/proc/self", CLINUX_O_PATH | O_DIRECTORY))
    }
    let folder = directory(of: launcher)
    let name: ByteString = "reuseport-adopt.so"
    let installed: ByteString = "\(directory(of: folder))/lib/reuseport-exec/\(name)"
    for path in [resolve(name, against: folder), installed] {
        if reason({ () throws(Errno) in _ = try open(path, CLINUX_O_PATH) }) == .noEntry { continue }
        try checkLibrary(path, plan.identity)
        return path
    }
    throw Failure(
        .system, "find", installed, "dialect adopt needs this library", remedy: "make install puts it there")
}

/// Looks at the library and each directory on the way to it, none of which may be a symbolic link.
private func checkLibrary(_ path: ByteString, _ identity: Identity) throws(Failure) {
    func refuse(_ reason: ByteString) -> Failure { Failure(.system, "preload", path, reason) }
    // LD_PRELOAD is a list with colons or blanks between, and a dollar begins a token of ld.so(8).
    if path.bytes.contains(where: { isBlank($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "$") }) {
        throw refuse("LD_PRELOAD has no way to say this path")
    }
    var place: ByteString = "/"
    for part in path.split(on: UInt8(ascii: "/")) {
        place = resolve(part, against: place)
        let facts = try step("examine", place) { () throws(Errno) in
            try status(of: open(place, CLINUX_O_PATH | O_NOFOLLOW))
        }
        if facts.isSymbolicLink { throw refuse("\(place) is a symbolic link") }
        let isSticky = facts.isDirectory && facts.mode & 0o1000 != 0
        let strangers: UInt32 = facts.group == 0 ? 0o002 : 0o022
        if geteuid() == 0, facts.owner != 0 || facts.mode & strangers != 0 && !isSticky {
            throw refuse("others than root may write to \(place)")
        }
        if !identity.may(facts.isDirectory ? 0o1 : 0o4, facts) {
            throw refuse("the target's user cannot get at it: see the mode of \(place)")
        }
    }
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
