import CLinux

/// The control groups (cgroups(7)) that this process can see. Tests use another root.
struct ControlGroups: Sendable {
    var root: ByteString = ""

    /// A hierarchy, and the place of this process in it.
    struct Hierarchy: Sendable, Equatable {
        var version: ControlGroup.Version
        /// Where it is mounted.
        var mount: ByteString
        /// This process's group below the mount, `/a/b` or empty. Groups that this program made are left out of it.
        var own: ByteString
    }
}

extension ControlGroups {
    /// Finds the hierarchy with the memory controller, of version 2 or else 1; nil if neither can be seen. One of version
    /// 2 does without the controller unless limits are wanted.
    func hierarchy(limits: Bool = true) throws(Errno) -> Hierarchy? {
        let mounts = try mounts()
        let groups = try read("/proc/self/cgroup")
        for mount in mounts where mount.version == .second {
            guard let own = ownGroup(groups, mount) else { continue }
            if limits, (try? read("\(mount.path)/cgroup.controllers")).map(hasMemory) != true { continue }
            return Hierarchy(version: .second, mount: mount.path, own: own)
        }
        for mount in mounts where mount.version == .first {
            if let own = ownGroup(groups, mount) {
                return Hierarchy(version: .first, mount: mount.path, own: own)
            }
        }
        return nil
    }

    /// Returns whether a path is in one of the hierarchies. Paths from the registry are made and removed only there.
    func contain(_ path: ByteString) -> Bool {
        guard let mounts = try? mounts(), !path.split(on: UInt8(ascii: "/")).contains("..") else { return false }
        return mounts.contains { path.hasPrefix("\($0.path)/") }
    }

    /// Finds the directory in which an app's group can be made.
    ///
    /// Version 1, or no limits: this process's own group. Version 2: the nearest ancestor that already enables the
    /// controller for its children, because a group with processes may not do that, and existing groups must not be
    /// changed.
    func placeForGroups(_ hierarchy: Hierarchy, limits: Bool = true) throws(Errno) -> ByteString {
        var below = hierarchy.own
        var problem = Errno.noEntry
        let isOwn = hierarchy.version == .first || !limits
        while true {
            let path: ByteString = "\(hierarchy.mount)\(below)"
            if isOwn || handsMemoryDown(path) {
                if ByteString("\(root)\(path)").withCString({ access($0, W_OK | X_OK) }) == 0 {
                    return path
                }
                problem = .current
            }
            if below.isEmpty || isOwn { throw problem }
            below = below.prefix(below.lastIndex(of: UInt8(ascii: "/")) ?? 0)
        }
    }

    /// Whether groups below this one of version 2 have the memory controller.
    func handsMemoryDown(_ path: ByteString) -> Bool {
        (try? read("\(path)/cgroup.subtree_control")).map(hasMemory) == true
    }

    func read(_ path: ByteString) throws(Errno) -> ByteString {
        try readAll(try open("\(root)\(path)", O_RDONLY), atMost: 1 << 22)
    }
}

/// A mounted hierarchy.
private struct Mount {
    var version: ControlGroup.Version
    /// The group that is the root of this mount.
    var group: ByteString
    var path: ByteString
}

/// The mounts of this host, read once: a command does not last until they change.
private let ownMounts = try? ControlGroups().readMounts()

extension ControlGroups {
    private func mounts() throws(Errno) -> [Mount] {
        if root.isEmpty, let ownMounts { return ownMounts }
        return try readMounts()
    }

    /// Reads /proc/self/mountinfo: `35 31 0:32 /GROUP /PATH rw,relatime [...] - cgroup cgroup rw,memory`.
    fileprivate func readMounts() throws(Errno) -> [Mount] {
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

/// Decodes the octal escapes of mountinfo: a blank is `\040`.
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

/// Finds the own group in /proc/self/cgroup: `4:memory:/a/b`, or `0::/a/b` for version 2. Nil if it is not below the
/// mount.
private func ownGroup(_ text: ByteString, _ mount: Mount) -> ByteString? {
    for line in text.split(on: UInt8(ascii: "\n")) {
        guard let (number, rest) = line.cut(at: UInt8(ascii: ":")), let (names, path) = rest.cut(at: UInt8(ascii: ":"))
        else { continue }
        let isHierarchy =
            mount.version == .second
            ? number == "0" && names.isEmpty : names.split(on: UInt8(ascii: ",")).contains("memory")
        guard isHierarchy else { continue }
        // The group is outside of this cgroup namespace.
        if path.hasPrefix("/..") { return nil }
        if mount.group == "/" { return withoutOwnGroups(path) }
        guard path == mount.group || path.hasPrefix("\(mount.group)/") else { return nil }
        return withoutOwnGroups(path.dropFirst(mount.group.count))
    }
    return nil
}

/// Returns whether memory is in the first line: `cpu memory pids`.
private func hasMemory(_ controllers: ByteString) -> Bool {
    controllers.split(on: UInt8(ascii: "\n"))[0].split(on: UInt8(ascii: " ")).contains("memory")
}
