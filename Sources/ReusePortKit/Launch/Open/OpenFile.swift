import CLinux

/// Opens a file for the target with the caller's rights.
///
/// It is not truncated yet, because a later step may fail.
func openFile(_ plan: FilePlan, leftovers: inout Leftovers) throws(Failure) -> Descriptor {
    let request = plan.request
    let object: ByteString = "file \(plan.name) at \(plan.path)"
    let place = try followPath(plan.path, object: object)
    var flags = O_NOCTTY | O_NOFOLLOW
    switch request.access {
    case .read: flags |= O_RDONLY
    case .write: flags |= O_WRONLY
    case .both: flags |= O_RDWR
    case .append: flags |= O_WRONLY | O_APPEND
    }
    if request.creates, let made = try create(place, flags, object, request) {
        let file = try step("examine", object) { () throws(Errno) in try status(of: made) }
        let directory = try step("open", object) { () throws(Errno) in try place.directory.duplicate() }
        leftovers.append(Leftover(directory: directory, name: place.name, file: file))
        return made
    }
    let entry = try step("open", object, remedy: { fileRemedy($0, request) }) { () throws(Errno) in
        try open(place.name, in: place.directory, CLINUX_O_PATH | O_NOFOLLOW)
    }
    let waits = try isPipe(entry, object)
    let file = try step("open", object, remedy: { fileRemedy($0, request) }) { () throws(Errno) in
        if waits { return try open("/proc/self/fd/\(entry.number)", flags & ~O_NOFOLLOW) }
        // Does not wait if somebody has put a pipe there meanwhile.
        return try open(place.name, in: place.directory, flags | O_NONBLOCK)
    }
    _ = try isPipe(file, object)
    _ = clinux_fcntl(file.number, F_SETFL, Int(flags & O_APPEND))
    try refuseStrangeFile(file, in: place.directory, object)
    return file
}

/// Whether it is a pipe. Refuses one of others, who could keep us and the target waiting.
private func isPipe(_ file: borrowing Descriptor, _ object: ByteString) throws(Failure) -> Bool {
    let info = try step("examine", object) { () throws(Errno) in try status(of: file) }
    if info.isFIFO && !info.isOwn {
        throw Failure(.system, "trust", object, "it is a pipe of uid \(info.owner), and opening it might wait for ever")
    }
    return info.isFIFO
}

/// Creates the file; nil if it exists and may.
private func create(
    _ place: borrowing FollowedPath, _ flags: Int32, _ object: ByteString, _ request: FileRequest
) throws(Failure) -> Descriptor? {
    do throws(Errno) {
        return try open(place.name, in: place.directory, flags | O_CREAT | O_EXCL, mode: 0o666)
    } catch {
        if error == .exists && !request.isExclusive { return nil }
        throw Failure("create", object, error, remedy: fileRemedy(error, request))
    }
}

/// Refuses directories, whose descriptors lead out of a chroot, and files that somebody may have planted.
private func refuseStrangeFile(
    _ file: borrowing Descriptor, in directory: borrowing Descriptor, _ object: ByteString
) throws(Failure) {
    let info = try step("examine", object) { () throws(Errno) in try status(of: file) }
    let folder = try step("examine", "the directory of \(object)") { () throws(Errno) in try status(of: directory) }
    if info.isDirectory { throw Failure(.system, "open", object, "it is a directory") }
    // A user who may write to the directory could have linked any file of the file system into it.
    let isOurs = (folder.owner == 0 || folder.owner == geteuid()) && folder.mode & 0o022 == 0
    if info.isRegular, info.links > 1, !isOurs, info.owner != folder.owner || folder.mode & 0o022 != 0 {
        let who: ByteString = folder.mode & 0o022 == 0 ? "uid \(folder.owner) owns" : "others may write to"
        throw Failure(.system, "trust", object, "\(who) the directory, and the file has other names elsewhere")
    }
}

private func fileRemedy(_ errno: Errno, _ request: FileRequest) -> ByteString? {
    switch errno {
    case .noEntry where !request.creates && request.access != .read: "add the flag create to make it"
    case .isDirectory: "name a file in it"
    case .processLimit, .systemLimit: descriptorRemedy(errno)
    case .loop: "its last part is a symbolic link that is not followed"
    default: nil
    }
}
