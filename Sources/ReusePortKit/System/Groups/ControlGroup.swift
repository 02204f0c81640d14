import CLinux

/// A control group that this program makes, to know and to limit what a copy has started (cgroups(7)).
struct ControlGroup: Sendable, Equatable {
    /// The version of cgroups.
    enum Version: UInt8, Sendable {
        case first = 1
        case second = 2
    }

    var version: Version
    /// The group's directory.
    var path: ByteString
}

/// The group of one copy, and the limits that it was started with, if any. The app's group is its parent.
///
/// A class, so that it is one pointer in the records that have it, which are copied often.
final class CopyGroup: Sendable, Equatable {
    let group: ControlGroup
    let max: UInt64?
    let appMax: UInt64?
    /// Whether any limit was asked for.
    let isLimited: Bool

    init(group: ControlGroup, max: UInt64?, appMax: UInt64?, isLimited: Bool = true) {
        self.group = group
        self.max = max
        self.appMax = appMax
        self.isLimited = isLimited
    }

    static func == (one: CopyGroup, other: CopyGroup) -> Bool { one.fields == other.fields }

    var app: ControlGroup { ControlGroup(version: group.version, path: directory(of: group.path)) }
}

extension ControlGroup {
    /// The fields in the registry.
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
        group.fields + [
            max.map { ByteString(decimal: $0) } ?? (isLimited ? "" : "none"),
            appMax.map { ByteString(decimal: $0) } ?? "",
        ]
    }

    convenience init?(fields: [ByteString]) {
        guard fields.count == 4, let group = ControlGroup(fields: fields) else { return nil }
        self.init(
            group: group, max: fields[2].decimal, appMax: fields[3].decimal,
            isLimited: fields[2] != "none")
    }
}

// MARK: - Names

/// The prefix of the names of app groups.
private var ownPrefix: ByteString { "reuseport-exec." }

/// The name of an app's group. It contains the device and inode of the run directory, because apps of one name in two
/// run directories are two apps. The app's own folder would not do: the groups of a registry that was lost are found
/// again by this name.
func groupName(ofApp app: ByteString, registeredIn folder: borrowing Descriptor) throws(Errno) -> ByteString {
    let info = try status(of: try open("..", in: folder, O_RDONLY | O_DIRECTORY))
    return "\(ownPrefix)\(app).\(info.device)-\(info.inode)"
}

/// Returns whether a name in an app's group is that of a copy's group: `green.0.4711`, the generation, the copy, and the
/// pid of the command that made it, or a number after it.
func isCopyGroupName(_ name: ByteString) -> Bool {
    let parts = name.split(on: UInt8(ascii: "."))
    return parts.count >= 3 && parts[parts.count - 1].decimal != nil && parts[parts.count - 2].decimal != nil
}

/// Cuts a path off at the first group that this program made. A copy that starts something is in such a group.
func withoutOwnGroups(_ path: ByteString) -> ByteString {
    var result = ByteString()
    for part in path.split(on: UInt8(ascii: "/")).dropFirst() {
        if part.hasPrefix(ownPrefix) { break }
        result.append("/\(part)")
    }
    return result == "/" ? "" : result
}
