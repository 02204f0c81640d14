import CLinux

/// The end of a path: a directory, held open, and a name in it.
struct FollowedPath: ~Copyable {
    let directory: Descriptor
    let name: ByteString
    /// Who besides root and the caller could make the path to the directory lead to another one; nil: nobody.
    let directoryWeakness: ByteString?
    /// The same for the whole path, and for a file that has the name now.
    let weakness: ByteString?
}

/// Walks a path by hand, following a symbolic link only if root or the caller made it, and the last part only if
/// `followsLast` is set.
///
/// A privileged process that opens `/var/log/app/log` must not be led to `/etc/shadow` by a link that the app put
/// there. Each step starts at a directory held open, so nothing can be swapped after it was checked.
func followPath(_ path: ByteString, object: ByteString, followsLast: Bool = true) throws(Failure) -> FollowedPath {
    var links = 0
    var parts = reversedParts(path)
    var directory = try openRoot(object)
    let root = try step("examine", object) { () throws(Errno) in try status(of: directory) }
    var folder = root
    var weakness: ByteString?
    guard !parts.isEmpty else { throw Failure(.system, "open", object, "it is a directory") }
    while true {
        let name = parts.removeLast()
        if name == ".." && parts.isEmpty { throw Failure(.system, "open", object, "it is a directory") }
        let before = weakness
        let info: FileStatus
        do throws(Errno) {
            info = try status(of: name, in: directory)
        } catch {
            // The last part may be missing: the caller may want to create it.
            if error == .noEntry && parts.isEmpty {
                return FollowedPath(
                    directory: directory, name: name, directoryWeakness: before,
                    weakness: before ?? folder.weakness(of: name, folder, root))
            }
            throw Failure(
                "open", object, error, remedy: error == .noEntry ? "its part '\(name)' is not there" : nil)
        }
        if weakness == nil, name != ".." { weakness = folder.weakness(of: name, info, root) }
        if info.isSymbolicLink && (followsLast || !parts.isEmpty) {
            links += 1
            if links > 40 { throw Failure("open", object, .loop) }
            guard info.owner == 0 || info.owner == geteuid() else {
                throw Failure(
                    .system, "trust", object, "'\(name)' in it is a symbolic link of uid \(info.owner)",
                    remedy: "links are followed only if root or the caller made them")
            }
            let target = try step("open", object) { () throws(Errno) in try readLink(name, in: directory) }
            if target.hasPrefix("/") {
                directory = try openRoot(object)
                folder = root
            }
            parts += reversedParts(target)
            if parts.isEmpty { throw Failure(.system, "open", object, "it is a directory") }
        } else if parts.isEmpty {
            return FollowedPath(directory: directory, name: name, directoryWeakness: before, weakness: weakness)
        } else {
            directory = try step("open", object) { () throws(Errno) in
                try open(name, in: directory, CLINUX_O_PATH | O_DIRECTORY | O_NOFOLLOW)
            }
            folder = info
        }
    }
}

extension FileStatus {
    /// Whether it belongs to root or the caller.
    var isOwn: Bool { owner == 0 || owner == geteuid() }

    /// Whether others than its owner, root's group and the caller's may write to it.
    var isWritableByOthers: Bool { mode & 0o002 != 0 || mode & 0o020 != 0 && group != 0 && group != getegid() }

    /// Who could put another file in the place of one in this directory. Whoever has the root directory has everything:
    /// in a user namespace, that is how files of the host's root look.
    fileprivate func weakness(of name: ByteString, _ file: FileStatus, _ root: FileStatus) -> ByteString? {
        if !isOwn && owner != root.owner { return "uid \(owner) may replace '\(name)' in it" }
        let isSticky = mode & 0o1000 != 0
        if isWritableByOthers && !(isSticky && (file.isOwn || file.owner == root.owner)) {
            return "others may replace '\(name)' in it"
        }
        return nil
    }
}

private func openRoot(_ object: ByteString) throws(Failure) -> Descriptor {
    try step("open", object, remedy: descriptorRemedy) { () throws(Errno) in try open("/", CLINUX_O_PATH | O_DIRECTORY)
    }
}

/// The parts of a path, last one first.
private func reversedParts(_ path: ByteString) -> [ByteString] {
    path.split(on: UInt8(ascii: "/")).filter { !$0.isEmpty && $0 != "." }.reversed()
}
