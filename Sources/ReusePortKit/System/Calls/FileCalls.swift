import CLinux

/// open(2), close-on-exec always.
func open(_ path: ByteString, _ flags: Int32, mode: mode_t = 0) throws(Errno) -> Descriptor {
    Descriptor(
        owning: try path.withCString { path throws(Errno) in
            try uninterrupted { clinux_open(path, flags | O_CLOEXEC, mode) }
        })
}

/// openat(2), close-on-exec always.
func open(
    _ name: ByteString, in directory: borrowing Descriptor, _ flags: Int32, mode: mode_t = 0
) throws(Errno) -> Descriptor {
    let number = directory.number
    return Descriptor(
        owning: try name.withCString { name throws(Errno) in
            try uninterrupted { clinux_openat(number, name, flags | O_CLOEXEC, mode) }
        })
}

/// read(2) until the end, or until more than `limit` bytes have come.
func readAll(_ file: borrowing Descriptor, atMost limit: Int) throws(Errno) -> ByteString {
    var result: [UInt8] = []
    let number = file.number
    // Not an array: filling it with zeros would take longer than all else for the small files that most are.
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 16384, alignment: 16)
    defer { chunk.deallocate() }
    while true {
        let count = try uninterrupted { read(number, chunk.baseAddress, chunk.count) }
        if count == 0 { return ByteString(result) }
        result.append(contentsOf: chunk[..<count])
        if result.count > limit { throw Errno(rawValue: EFBIG) }
    }
}

/// What fstat(2) tells of a file.
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

/// fstatat(2) of an entry itself, not of what a link points to.
func status(of name: ByteString, in directory: borrowing Descriptor) throws(Errno) -> FileStatus {
    var raw = stat()
    let number = directory.number
    try name.withCString { name throws(Errno) in
        try checked(fstatat(number, name, &raw, AT_SYMLINK_NOFOLLOW))
    }
    return FileStatus(raw)
}

/// unlinkat(2).
func unlink(_ name: ByteString, in directory: borrowing Descriptor) throws(Errno) {
    let number = directory.number
    try name.withCString { name throws(Errno) in try checked(unlinkat(number, name, 0)) }
}

/// unlinkat(2) of an empty directory.
func removeDirectory(_ name: ByteString, in directory: borrowing Descriptor) throws(Errno) {
    let number = directory.number
    try name.withCString { name throws(Errno) in try checked(unlinkat(number, name, AT_REMOVEDIR)) }
}

/// mkdirat(2), and the directory, open; it has this mode whatever the umask is.
func makeDirectory(
    _ name: ByteString, mode: mode_t, in directory: borrowing Descriptor
) throws(Errno) -> Descriptor {
    let number = directory.number
    try name.withCString { name throws(Errno) in try checked(mkdirat(number, name, mode)) }
    let made = try open(name, in: directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    // Who else could have put another one there may write to the directory: then this fails.
    try checked(fchmod(made.number, mode))
    return made
}

/// Makes a file that is not there yet, with these contents and this mode.
func makeFile(
    _ name: ByteString, _ text: ByteString, mode: mode_t, in directory: borrowing Descriptor
) throws(Errno) {
    let file = try open(name, in: directory, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
    try writeAll(text, to: file)
    try checked(fchmod(file.number, mode))
}

/// readlinkat(2).
func readLink(_ name: ByteString, in directory: borrowing Descriptor) throws(Errno) -> ByteString {
    let number = directory.number
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = try name.withCString { name throws(Errno) in
        try checked(readlinkat(number, name, &buffer, buffer.count))
    }
    return ByteString(buffer.prefix(count).map { UInt8(bitPattern: $0) })
}

/// fchownat(2) of the very file that a descriptor, O_PATH ones included, stands for (AT_EMPTY_PATH).
func changeOwner(of file: borrowing Descriptor, owner: UInt32?, group: UInt32?) throws(Errno) {
    // An id of 2^32-1 means "as it is" to the kernel.
    try checked(clinux_chown_descriptor(file.number, owner ?? UInt32.max, group ?? UInt32.max))
}

/// renameat(2) within one directory, over what is there.
func rename(_ name: ByteString, to other: ByteString, in directory: borrowing Descriptor) throws(Errno) {
    let number = directory.number
    try name.withCString { name throws(Errno) in
        try other.withCString { other throws(Errno) in try checked(renameat(number, name, number, other)) }
    }
}

/// linkat(2) within one directory: another name for the same file.
func link(_ name: ByteString, to other: ByteString, in directory: borrowing Descriptor) throws(Errno) {
    let number = directory.number
    try name.withCString { name throws(Errno) in
        try other.withCString { other throws(Errno) in try checked(linkat(number, name, number, other, 0)) }
    }
}

/// write(2) until all is written.
func writeAll(_ text: ByteString, to file: borrowing Descriptor) throws(Errno) { try writeAll(text, to: file.number) }

/// The same for a descriptor of nobody's, as standard output is.
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
    // The stream needs a descriptor, and a place to read from, of its own.
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

/// pipe2(2): what is written at one end is read at the other.
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
