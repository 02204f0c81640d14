import CLinux

/// An open directory of service directories, or of units, that only this user and root may change.
final class ScanDirectory {
    let path: ByteString
    let folder: Descriptor
    let isS6: Bool

    private init(_ path: ByteString, _ folder: consuming Descriptor, isS6: Bool) {
        self.path = path
        self.folder = folder
        self.isS6 = isS6
    }

    /// The directory of runit's or s6's services; nil for systemd, which has units.
    static func open(_ target: SupervisionTarget) throws(Failure) -> ScanDirectory? {
        switch target {
        case .runit(let path): try open(path, isS6: false)
        case .s6(let path): try open(path, isS6: true)
        case .systemd: nil
        }
    }

    /// Follows links, as /service is one on some systems, but only those of root and this user.
    static func open(_ path: ByteString, isS6: Bool) throws(Failure) -> ScanDirectory {
        let place = try followPath(path, object: path)
        let folder = try step(
            "open", path, remedy: { $0 == .noEntry ? "no supervisor runs there" : nil }
        ) { () throws(Errno) in
            try ReusePortKit.open(place.name, in: place.directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        }
        let info = try step("open", path) { () throws(Errno) in try status(of: folder) }
        guard info.isOurs else {
            throw Failure(
                .system, "trust", path, "others own it or may write it",
                remedy: "it must belong to this user or to root, with mode 755 or less")
        }
        return ScanDirectory(path, folder, isS6: isS6)
    }

    /// The marker of a service directory; nil for one that deploy did not write.
    func marker(of name: ByteString) -> ServiceMarker? {
        do throws(Errno) {
            let directory = try ReusePortKit.open(name, in: folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            guard try status(of: directory).isOurs else { return nil }
            guard let file = try? openTrusted(ServiceMarker.fileName, in: directory, object: name) else { return nil }
            return ServiceMarker(text: try readAll(file, atMost: 1 << 12))
        } catch {
            return nil
        }
    }

    /// The service directories that deploy wrote for an app, with their names.
    func services(of app: ByteString) -> [(name: ByteString, marker: ServiceMarker)] {
        var found: [(name: ByteString, marker: ServiceMarker)] = []
        for name in entryNames(of: folder) where name.hasPrefix("\(app)-") {
            if let marker = marker(of: name), marker.app == app { found.append((name, marker)) }
        }
        return found.ordered { $0.marker.isBefore($1.marker) }
    }

    /// Whether a supervisor reads the commands of this service directory, or of its log's.
    func isSupervised(_ name: ByteString) -> Bool {
        for pipe in ["supervise/control", "log/supervise/control"] as [ByteString] {
            // ENXIO: nobody has it open to read.
            if (try? ReusePortKit.open("\(name)/\(pipe)", in: folder, O_WRONLY | O_NONBLOCK | O_NOFOLLOW)) != nil {
                return true
            }
        }
        return false
    }

    /// Reads the status that its supervisor wrote last; nil if it never had a supervisor.
    func serviceStatus(of name: ByteString) -> ServiceStatus? {
        guard let file = try? openTrusted("\(name)/supervise/status", in: folder, object: name) else { return nil }
        return ServiceStatus(reading: file, isS6: isS6)
    }
}

extension FileStatus {
    /// Whether only root and this user may write to it.
    fileprivate var isOurs: Bool { isOwn && mode & 0o022 == 0 }
}

/// The file `supervise/status` of a service directory.
struct ServiceStatus: Equatable {
    /// Of the service, or of its finish script.
    var pid: Int32?
    /// Whether the supervisor starts it again when it ends.
    var isWantedUp: Bool
    /// Whether its finish script runs, or is about to.
    var isFinishing: Bool

    /// Whether nothing of it runs, nor will without another command.
    var isOver: Bool { pid == nil && !isFinishing && !isWantedUp }

    init?(reading file: borrowing Descriptor, isS6: Bool) {
        guard let bytes = try? readAll(file, atMost: 4096) else { return nil }
        self.init(bytes.bytes, isS6: isS6)
    }

    /// runit's has 20 bytes: the process at 12, lowest byte first, `u` or `d` at 17, and 2 at 19 while it finishes
    /// (runsv.c). s6's has 35, and 43 since 2.12: the process at 24, highest byte first, and flags in the last byte, of
    /// which 2 is "finishing" and 4 "want up".
    init?(_ bytes: [UInt8], isS6: Bool) {
        if isS6 {
            guard bytes.count == 35 || bytes.count == 43 else { return nil }
            let number = bytes[28..<32].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            pid = number == 0 ? nil : Int32(truncatingIfNeeded: number)
            isWantedUp = bytes[bytes.count - 1] & 4 != 0
            isFinishing = bytes[bytes.count - 1] & 2 != 0
        } else {
            guard bytes.count == 20 else { return nil }
            let number = bytes[12..<16].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            pid = number == 0 ? nil : Int32(truncatingIfNeeded: number)
            isWantedUp = bytes[17] == UInt8(ascii: "u")
            isFinishing = bytes[19] == 2
        }
    }
}

extension Supervisor {
    var isS6: Bool { if case .s6 = self { true } else { false } }

    /// Reads the status that it wrote last about its service; nil for systemd, and if it wrote none.
    var status: ServiceStatus? {
        guard let directory = serviceFolder, let file = try? openStatus(in: directory) else { return nil }
        return ServiceStatus(reading: file, isS6: isS6)
    }
}

/// Opens what the supervisor of a service directory wrote last.
func openStatus(in directory: ByteString) throws(Failure) -> Descriptor {
    let place = try followPath("\(directory)/supervise/status", object: directory)
    return try openTrusted(place.name, in: place.directory, object: directory)
}
