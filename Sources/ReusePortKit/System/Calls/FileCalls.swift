import CLinux

/// open(2), close-on-exec always.
@inline(never)
func open(_ path: ByteString, _ flags: Int32, mode: mode_t = 0) throws(Errno) -> Descriptor {
    Descriptor(
        owning: try path.withCString { path throws(Errno) in
            try uninterrupted { clinux_open(path, flags | O_CLOEXEC, mode) }
        })
}

/// openat(2), close-on-exec always.
@inline(never)
func open(
    _ name: ByteString, in directory: borrowing Descriptor, _ flags: Int32, mode: mode_t = 0
) throws(Errno) -> Descriptor {
    let number = directory.number
    return Descriptor(
        owning: try name.withCString { name throws(Errno) in
            try uninterrupted { clinux_openat(number, name, flags | O_CLOEXEC, mode) }
        })
}

/// Makes a system call for a name in a directory.
@discardableResult
private func at(
    _ directory: borrowing Descriptor, _ name: ByteString, _ call: (Int32, UnsafePointer<CChar>) -> Int
) throws(Errno) -> Int {
    let number = directory.number
    return try name.withCString { name throws(Errno) in try checked(call(number, name)) }
}

/// read(2) until the end, or until more than `limit` bytes have come.
func readAll(_ file: borrowing Descriptor, atMost limit: Int) throws(Errno) -> ByteString {
    var result: [UInt8] = []
    let number = file.number
    // Not an array: filling that with zeros would take longer than reading the mostly small files.
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 16384, alignment: 16)
    defer { chunk.deallocate() }
    while true {
        let count = try uninterrupted { read(number, chunk.baseAddress, chunk.count) }
        if count == 0 { return ByteString(result) }
        result.append(contentsOf: chunk[..<count])
        if result.count > limit { throw Errno(rawValue: EFBIG) }
    }
}

/// The result of fstat(2).
struct FileStatus: Sendable {
    var device: UInt64
    var inode: UInt64
    var rawMode: UInt32
    var owner: UInt32
    var group: UInt32
    var links: UInt64
    /// Seconds since 1970.
    var modified: UInt64
    /// Bytes.
    var size: UInt64

    init(_ raw: stat) {
        device = UInt64(raw.st_dev)
        inode = UInt64(raw.st_ino)
        rawMode = raw.st_mode
        owner = raw.st_uid
        group = raw.st_gid
        links = UInt64(raw.st_nlink)
        modified = UInt64(max(0, raw.st_mtim.tv_sec))
        size = UInt64(raw.st_size)
    }

    /// The permission bits.
    var mode: UInt32 { rawMode & 0o7777 }
    private var type: Int32 { clinux_file_type(rawMode) }
    var isRegular: Bool { type == Int32(S_IFREG) }
    var isDirectory: Bool { type == Int32(S_IFDIR) }
    var isSymbolicLink: Bool { type == Int32(S_IFLNK) }
    var isSocket: Bool { type == Int32(S_IFSOCK) }
    var isFIFO: Bool { type == Int32(S_IFIFO) }
    var isCharacterDevice: Bool { type == Int32(S_IFCHR) }

    func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }
}

/// fstat(2).
func status(of file: borrowing Descriptor) throws(Errno) -> FileStatus {
    var raw = stat()
    try checked(fstat(file.number, &raw))
    return FileStatus(raw)
}

/// fstatat(2) of a directory entry; does not follow a symbolic link.
@inline(never)
func status(of name: ByteString, in directory: borrowing Descriptor) throws(Errno) -> FileStatus {
    var raw = stat()
    try at(directory, name) { Int(fstatat($0, $1, &raw, AT_SYMLINK_NOFOLLOW)) }
    return FileStatus(raw)
}

/// unlinkat(2).
@inline(never)
func unlink(_ name: ByteString, in directory: borrowing Descriptor) throws(Errno) {
    try at(directory, name) { Int(unlinkat($0, $1, 0)) }
}

/// unlinkat(2) of an empty directory.
func removeDirectory(_ name: ByteString, in directory: borrowing Descriptor) throws(Errno) {
    try at(directory, name) { Int(unlinkat($0, $1, AT_REMOVEDIR)) }
}

/// mkdirat(2): makes a directory with exactly this mode, whatever the umask is, and opens it.
func makeDirectory(
    _ name: ByteString, mode: mode_t, in directory: borrowing Descriptor
) throws(Errno) -> Descriptor {
    try at(directory, name) { Int(mkdirat($0, $1, mode)) }
    let made = try open(name, in: directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    // Fails if another user has replaced the new directory meanwhile: only its owner (and root) may change its mode.
    try checked(fchmod(made.number, mode))
    return made
}

/// Makes a file with these contents and this mode; EEXIST if the name is taken.
@inline(never)
func makeFile(
    _ name: ByteString, _ text: ByteString, mode: mode_t, in directory: borrowing Descriptor
) throws(Errno) {
    let file = try open(name, in: directory, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
    try writeAll(text, to: file)
    try checked(fchmod(file.number, mode))
}

/// readlinkat(2).
func readLink(_ name: ByteString, in directory: borrowing Descriptor) throws(Errno) -> ByteString {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = try at(directory, name) { readlinkat($0, $1, &buffer, buffer.count) }
    return ByteString(buffer.prefix(count).map { UInt8(bitPattern: $0) })
}

/// fchownat(2) with AT_EMPTY_PATH: changes the owner of an open file, also through an O_PATH descriptor.
func changeOwner(of file: borrowing Descriptor, owner: UInt32?, group: UInt32?) throws(Errno) {
    // The kernel does not change an id for which it gets 2^32-1.
    try checked(clinux_chown_descriptor(file.number, owner ?? UInt32.max, group ?? UInt32.max))
}

/// renameat(2) within one directory; replaces an existing entry.
@inline(never)
func rename(_ name: ByteString, to other: ByteString, in directory: borrowing Descriptor) throws(Errno) {
    try at(directory, name) { number, name in other.withCString { Int(renameat(number, name, number, $0)) } }
}

/// linkat(2) within one directory: another name for the same file.
func link(_ name: ByteString, to other: ByteString, in directory: borrowing Descriptor) throws(Errno) {
    try at(directory, name) { number, name in other.withCString { Int(linkat(number, name, number, $0, 0)) } }
}

/// Calls write(2) until all is written.
@inline(never)
func writeAll(_ text: ByteString, to file: borrowing Descriptor) throws(Errno) { try writeAll(text, to: file.number) }

/// Calls write(2) until all is written, on a descriptor that has no owner here, such as standard output.
func writeAll(_ text: ByteString, to number: Int32) throws(Errno) {
    var written = 0
    while written < text.count {
        written += try uninterrupted {
            text.bytes.withUnsafeBytes { write(number, $0.baseAddress! + written, $0.count - written) }
        }
    }
}

/// readdir(3): the names in a directory, without `.` and `..`.
func entryNames(of directory: borrowing Descriptor) -> [ByteString] {
    // closedir(3) closes the stream's descriptor, and a duplicate would share the reading position: so opens it anew.
    guard let own = try? open(".", in: directory, O_RDONLY | O_DIRECTORY).release() else { return [] }
    guard let stream = fdopendir(own) else {
        close(own)
        return []
    }
    defer { closedir(stream) }
    var names: [ByteString] = []
    while let entry = readdir(stream) {
        let name = ByteString(cString: clinux_entry_name(entry))
        if name != "." && name != ".." { names.append(name) }
    }
    return names
}

/// Both ends of a pipe2(2).
struct PipeEnds: ~Copyable {
    let reader: Descriptor
    let writer: Descriptor

    init() throws(Errno) {
        var ends: [Int32] = [0, 0]
        try checked(pipe2(&ends, O_CLOEXEC))
        reader = Descriptor(owning: ends[0])
        writer = Descriptor(owning: ends[1])
    }
}
