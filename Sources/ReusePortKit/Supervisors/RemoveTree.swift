import CLinux

/// Removes a directory with all that is in it. Links are removed, never followed, and each step is taken from a
/// directory that is held open. What `last` names goes last: by it the rest is known as long as there is any.
func removeTree(
    _ name: ByteString, in parent: borrowing Descriptor, last: ByteString? = nil, depth: Int = 8
) throws(Errno) {
    let directory = try open(name, in: parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    for entry in entryNames(of: directory) where entry != last {
        do throws(Errno) {
            if try status(of: entry, in: directory).isDirectory {
                // Service directories are not deep: whatever this is, nobody's service has made it.
                guard depth > 0 else { throw .loop }
                try removeTree(entry, in: directory, depth: depth - 1)
            } else {
                try unlink(entry, in: directory)
            }
        } catch {
            // The supervisor, on its way out, replaces and removes files of its own.
            if error != .noEntry { throw error }
        }
    }
    if let last, let failure = reason({ () throws(Errno) in try unlink(last, in: directory) }), failure != .noEntry {
        throw failure
    }
    try removeDirectory(name, in: parent)
}
