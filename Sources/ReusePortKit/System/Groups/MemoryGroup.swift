/// A control group of ours that limits memory: cgroups(7).
struct MemoryGroup: Sendable, Equatable {
    /// Whose rules it follows.
    enum Version: UInt8, Sendable {
        case first = 1
        case second = 2
    }

    var version: Version
    /// Its directory.
    var path: ByteString
}

/// The group of one copy, and the limits that it was started with. The app's own group is the one above.
///
/// One pointer in the records that have it: they are copied all over the program.
final class CopyGroup: Sendable, Equatable {
    let group: MemoryGroup
    let max: UInt64?
    let appMax: UInt64?

    init(group: MemoryGroup, max: UInt64?, appMax: UInt64?) {
        self.group = group
        self.max = max
        self.appMax = appMax
    }

    static func == (one: CopyGroup, other: CopyGroup) -> Bool { one.fields == other.fields }

    var app: MemoryGroup { MemoryGroup(version: group.version, path: directory(of: group.path)) }
}

extension MemoryGroup {
    /// As the registry has it.
    var fields: [ByteString] { [ByteString(decimal: version.rawValue), path] }

    init?(fields: [ByteString]) {
        guard fields.count >= 2, let number = fields[0].decimal, number <= 2,
            let version = Version(rawValue: UInt8(number)), fields[1].hasPrefix("/"), !fields[1].contains(0)
        else { return nil }
        self.init(version: version, path: fields[1])
    }
}

extension CopyGroup {
    var fields: [ByteString] {
        group.fields + [max.map { ByteString(decimal: $0) } ?? "", appMax.map { ByteString(decimal: $0) } ?? ""]
    }

    convenience init?(fields: [ByteString]) {
        guard fields.count == 4, let group = MemoryGroup(fields: fields) else { return nil }
        self.init(group: group, max: fields[2].decimal, appMax: fields[3].decimal)
    }
}

// MARK: - Names

/// What the names of all our groups begin with.
private let ownPrefix: ByteString = "reuseport-exec."

/// The name of an app's group. Apps of one name in two run directories are two apps: so the folder's number is in it.
func groupName(ofApp app: ByteString, registeredIn folder: borrowing Descriptor) throws(Errno) -> ByteString {
    let info = try status(of: folder)
    return "\(ownPrefix)\(app).\(info.device)-\(info.inode)"
}

/// The name of a copy's group: `green.0.4711`. No two processes that run have the same.
func groupName(of copy: Int, generation label: ByteString, pid: Int32) -> ByteString { "\(label).\(copy).\(pid)" }

/// Whether a name in an app's group is that of a copy's.
func isCopyGroupName(_ name: ByteString) -> Bool {
    let parts = name.split(on: UInt8(ascii: "."))
    return parts.count >= 3 && parts[parts.count - 1].decimal != nil && parts[parts.count - 2].decimal != nil
}

/// The part of a path that is not below a group of ours: a copy that starts something is in one.
func outsideOurs(_ path: ByteString) -> ByteString {
    var result = ByteString()
    for part in path.split(on: UInt8(ascii: "/")).dropFirst() {
        if part.hasPrefix(ownPrefix) { break }
        result.append("/\(part)")
    }
    return result == "/" ? "" : result
}
