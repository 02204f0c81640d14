import CLinux

/// An open group. What is read and written through it is of this very group, even if its name is another's by then.
struct GroupDirectory: ~Copyable {
    let directory: Descriptor
    let version: MemoryGroup.Version

    init(_ group: MemoryGroup, in groups: ControlGroups) throws(Errno) {
        directory = try open("\(groups.root)\(group.path)", O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        version = group.version
    }

    borrowing func read(_ name: ByteString) throws(Errno) -> ByteString {
        try readAll(try open(name, in: directory, O_RDONLY | O_NOFOLLOW), atMost: 1 << 20)
    }

    borrowing func write(_ text: ByteString, to name: ByteString) throws(Errno) {
        try writeAll(text, to: try open(name, in: directory, O_WRONLY | O_NOFOLLOW))
    }

    /// The number behind a word that a line starts with: `oom_kill 1`.
    borrowing func number(_ word: ByteString, in name: ByteString) -> UInt64? {
        guard let text = try? read(name) else { return nil }
        for line in text.split(on: UInt8(ascii: "\n")) {
            if let (key, value) = line.cut(at: UInt8(ascii: " ")), key == word { return value.decimal }
        }
        return nil
    }

    /// Beyond this the kernel ends processes; nil for no limit.
    var max: UInt64? {
        borrowing get {
            // Version 1 says 2^63 less a page for none, version 2 `max`.
            let text = try? read(version == .first ? "memory.limit_in_bytes" : "memory.max")
            let number = text?.split(on: UInt8(ascii: "\n"))[0].decimal
            return number.flatMap { $0 < 1 << 62 ? $0 : nil }
        }
    }

    borrowing func setMax(_ bytes: UInt64?) throws(Errno) {
        let number = bytes.map { ByteString(decimal: $0) }
        if version == .first { return try write(number ?? "-1", to: "memory.limit_in_bytes") }
        // Version 1 refuses (EBUSY) what is less than the processes need; version 2 would end some of them.
        if let bytes, let used = self.number("anon", in: "memory.stat"), used > bytes { throw .busy }
        try write(number ?? "max", to: "memory.max")
    }

    /// Version 2: beyond this processes are slowed down. Version 1: down to this the kernel takes memory back first,
    /// once the whole machine is short of it.
    borrowing func setHigh(_ bytes: UInt64) throws(Errno) {
        try write(ByteString(decimal: bytes), to: version == .first ? "memory.soft_limit_in_bytes" : "memory.high")
    }
}

/// mkdirat(2); whether it was not there before.
func makeDirectory(_ name: ByteString, in directory: borrowing Descriptor) throws(Errno) -> Bool {
    let number = directory.number
    do throws(Errno) {
        try name.withCString { name throws(Errno) in try checked(mkdirat(number, name, 0o755)) }
        return true
    } catch .exists {
        return false
    }
}
