import CLinux

/// The end of a path: a directory, held open, and a name in it that is no symbolic link.
struct FollowedPath: ~Copyable {
    let directory: Descriptor
    let name: ByteString
}

/// Walks a path by hand, following a symbolic link only if root or the caller made it.
///
/// A privileged process that opens `/var/log/app/log` must not be led to `/etc/shadow` by a link that the app put
/// there. Each step starts at a directory held open, so nothing can be swapped after it was checked.
func followPath(_ path: ByteString, object: ByteString) throws(Failure) -> FollowedPath {
    var links = 0
    var parts = reversedParts(path)
    var directory = try openRoot(object)
    guard !parts.isEmpty else { throw Failure(.system, "open", object, "it is a directory") }
    while true {
        let name = parts.removeLast()
        if name == ".." && parts.isEmpty { throw Failure(.system, "open", object, "it is a directory") }
        let info: FileStatus
        do throws(Errno) {
            info = try status(of: name, in: directory)
        } catch {
            // The last part may be missing: the caller may want to create it.
            if error == .noEntry && parts.isEmpty { return FollowedPath(directory: directory, name: name) }
            throw Failure("open", object, error)
        }
        if info.isSymbolicLink {
            links += 1
            if links > 40 { throw Failure("open", object, .loop) }
            guard info.owner == 0 || info.owner == geteuid() else {
                throw Failure(
                    .system, "trust", object, "'\(name)' in it is a symbolic link of uid \(info.owner)",
                    remedy: "links are followed only if root or the caller made them")
            }
            let target = try step("open", object) { () throws(Errno) in try readLink(name, in: directory) }
            if target.hasPrefix("/") { directory = try openRoot(object) }
            parts += reversedParts(target)
            if parts.isEmpty { throw Failure(.system, "open", object, "it is a directory") }
        } else if parts.isEmpty {
            return FollowedPath(directory: directory, name: name)
        } else {
            directory = try step("open", object) { () throws(Errno) in
                try open(name, in: directory, CLINUX_O_PATH | O_DIRECTORY | O_NOFOLLOW)
            }
        }
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
