import CLinux

/// An open group: reads and writes its files even if another group has its name by then.
struct GroupDirectory: ~Copyable {
    let directory: Descriptor
    let version: ControlGroup.Version

    init(_ group: ControlGroup, in groups: ControlGroups) throws(Errno) {
        directory = try open("\(groups.root)\(group.path)", O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        version = group.version
    }

    @inline(never)
    borrowing func read(_ name: ByteString) throws(Errno) -> ByteString {
        try readAll(try open(name, in: directory, O_RDONLY | O_NOFOLLOW), atMost: 1 << 20)
    }

    @inline(never)
    borrowing func write(_ text: ByteString, to name: ByteString) throws(Errno) {
        try writeAll(text, to: try open(name, in: directory, O_WRONLY | O_NOFOLLOW))
    }

    /// Reads the number in the line that begins with a word: `oom_kill 1`.
    borrowing func number(_ word: ByteString, in name: ByteString) -> UInt64? {
        guard let text = try? read(name) else { return nil }
        for line in text.split(on: UInt8(ascii: "\n")) {
            if let (key, value) = line.cut(at: UInt8(ascii: " ")), key == word { return value.decimal }
        }
        return nil
    }

    /// The limit beyond which the kernel kills processes; nil for none.
    var max: UInt64? {
        borrowing get {
            // No limit is 2^63 less a page in version 1, and `max` in version 2.
            let text = try? read(version == .first ? "memory.limit_in_bytes" : "memory.max")
            let number = text?.split(on: UInt8(ascii: "\n"))[0].decimal
            return number.flatMap { $0 < 1 << 62 ? $0 : nil }
        }
    }

    borrowing func setMax(_ bytes: UInt64?) throws(Errno) {
        let number = bytes.map { ByteString(decimal: $0) }
        if version == .first { return try write(number ?? "-1", to: "memory.limit_in_bytes") }
        // Refuses a limit below what the processes use. Version 1 does so itself (EBUSY); version 2 would kill some.
        if let bytes, let used = self.number("anon", in: "memory.stat"), used > bytes { throw .busy }
        try write(number ?? "max", to: "memory.max")
    }

    /// Sets the limit beyond which version 2 slows processes down. Version 1 takes memory back down to it first when
    /// the whole machine is short of memory.
    borrowing func setHigh(_ bytes: UInt64) throws(Errno) {
        try write(ByteString(decimal: bytes), to: version == .first ? "memory.soft_limit_in_bytes" : "memory.high")
    }
}

/// mkdirat(2). Returns whether the directory is new.
func makeDirectory(_ name: ByteString, in directory: borrowing Descriptor) throws(Errno) -> Bool {
    let number = directory.number
    do throws(Errno) {
        try name.withCString { name throws(Errno) in try checked(mkdirat(number, name, 0o755)) }
        return true
    } catch .exists {
        return false
    }
}
