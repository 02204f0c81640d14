import CLinux

/// The control groups of this host, as one process sees them. The root can be another one, for tests.
struct ControlGroups: Sendable {
    let root: ByteString

    init(root: ByteString = "") { self.root = root }

    /// A hierarchy with the memory controller, and where this process is in it.
    struct Hierarchy: Sendable, Equatable {
        var version: MemoryGroup.Version
        /// Where it is mounted.
        var mount: ByteString
        /// This process's group below the mount: nothing, or `/a/b`. Groups of ours that it is in are left out.
        var own: ByteString
    }
}

extension ControlGroups {
    /// Version 2, or version 1 where that has the controller; nil if neither can be seen.
    func memoryHierarchy() throws(Errno) -> Hierarchy? {
        let mounts = try mounts()
        let groups = try read("/proc/self/cgroup")
        for mount in mounts where mount.version == .second {
            guard let own = ownGroup(groups, mount), let have = try? read("\(mount.path)/cgroup.controllers"),
                hasMemory(have)
            else { continue }
            return Hierarchy(version: .second, mount: mount.path, own: own)
        }
        for mount in mounts where mount.version == .first {
            if let own = ownGroup(groups, mount) {
                return Hierarchy(version: .first, mount: mount.path, own: own)
            }
        }
        return nil
    }

    /// Whether a path is in one of the hierarchies: what the registry says is not removed or made elsewhere.
    func contain(_ path: ByteString) -> Bool {
        guard let mounts = try? mounts(), !path.split(on: UInt8(ascii: "/")).contains("..") else { return false }
        return mounts.contains { path.hasPrefix("\($0.path)/") }
    }

    /// The directory in which an app's group can be made.
    ///
    /// Version 1: this process's own group. Version 2 has no processes in inner groups, and what an existing group
    /// hands down is not ours to change: so the nearest one above that hands the controller down already.
    func placeForGroups(_ hierarchy: Hierarchy) throws(Errno) -> ByteString {
        var below = hierarchy.own
        var problem = Errno.noEntry
        while true {
            let path: ByteString = "\(hierarchy.mount)\(below)"
            if hierarchy.version == .first || (try? read("\(path)/cgroup.subtree_control")).map(hasMemory) == true {
                if ByteString("\(root)\(path)").withCString({ access($0, W_OK | X_OK) }) == 0 {
                    return path
                }
                problem = .current
            }
            if below.isEmpty || hierarchy.version == .first { throw problem }
            below = below.prefix(below.lastIndex(of: UInt8(ascii: "/")) ?? 0)
        }
    }

    func read(_ path: ByteString) throws(Errno) -> ByteString {
        try readAll(try open("\(root)\(path)", O_RDONLY), atMost: 1 << 22)
    }
}

/// A mounted hierarchy.
private struct Mount {
    var version: MemoryGroup.Version
    /// The group that is seen at the path.
    var group: ByteString
    var path: ByteString
}

extension ControlGroups {
    /// /proc/self/mountinfo: `35 31 0:32 /GROUP /PATH rw,relatime [...] - cgroup cgroup rw,memory`.
    private func mounts() throws(Errno) -> [Mount] {
        var result: [Mount] = []
        for line in try read("/proc/self/mountinfo").split(on: UInt8(ascii: "\n")) {
            let fields = line.split(on: UInt8(ascii: " "))
            guard let separator = fields.firstIndex(of: "-"), separator >= 5, fields.count > separator + 3 else {
                continue
            }
            let (type, options) = (fields[separator + 1], fields[separator + 3].split(on: UInt8(ascii: ",")))
            let isFirst = type == "cgroup" && options.contains("memory")
            guard isFirst || type == "cgroup2" else { continue }
            result.append(
                Mount(
                    version: isFirst ? .first : .second, group: unescaped(fields[3]), path: unescaped(fields[4])))
        }
        return result
    }
}

/// A blank is written as `\040`.
private func unescaped(_ field: ByteString) -> ByteString {
    var result = ByteString()
    var index = 0
    while index < field.count {
        if field.bytes[index] == UInt8(ascii: "\\"), index + 3 < field.count,
            let byte = field[index + 1..<index + 4].octal, byte < 256
        {
            result.append(UInt8(byte))
            index += 4
        } else {
            result.append(field.bytes[index])
            index += 1
        }
    }
    return result
}

/// /proc/self/cgroup: `4:memory:/a/b`, and `0::/a/b` for version 2. Nil if what is mounted does not reach there.
private func ownGroup(_ text: ByteString, _ mount: Mount) -> ByteString? {
    for line in text.split(on: UInt8(ascii: "\n")) {
        guard let (number, rest) = line.cut(at: UInt8(ascii: ":")), let (names, path) = rest.cut(at: UInt8(ascii: ":"))
        else { continue }
        let isIt =
            mount.version == .second
            ? number == "0" && names.isEmpty : names.split(on: UInt8(ascii: ",")).contains("memory")
        guard isIt else { continue }
        // Outside of our name space, or of the part that is mounted.
        if path.hasPrefix("/..") { return nil }
        if mount.group == "/" { return outsideOurs(path) }
        guard path == mount.group || path.hasPrefix("\(mount.group)/") else { return nil }
        return outsideOurs(path.dropFirst(mount.group.count))
    }
    return nil
}

/// `cpu memory pids`, with a newline behind it.
private func hasMemory(_ controllers: ByteString) -> Bool {
    controllers.split(on: UInt8(ascii: "\n"))[0].split(on: UInt8(ascii: " ")).contains("memory")
}
