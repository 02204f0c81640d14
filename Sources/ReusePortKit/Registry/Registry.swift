import CLinux

/// The folder of an app, in which its generations find each other.
///
/// Everything in it can be stale or lost at any moment: it is read together with what the kernel says (`reconciled`), and
/// written file by file, each replaced whole by rename(2), under one lock.
struct Registry: ~Copyable {
    let app: ByteString
    let path: ByteString
    let folder: Descriptor

    /// Opens the folder of an app, and makes it if `create` is set; nil if it is not there.
    /// Not inlined: saves 2 kB.
    @inline(never)
    static func open(_ app: ByteString, in runDirectory: ByteString, create: Bool) throws(Failure) -> Registry? {
        guard let parent = try openRunDirectory(runDirectory, create: create) else { return nil }
        let path: ByteString = "\(runDirectory)/\(app)"
        guard let folder = try openAppFolder(app, in: parent, path: path, create: create) else { return nil }
        return Registry(app: app, path: path, folder: folder)
    }

    /// The same folder again, for a process of its own.
    borrowing func duplicate() throws(Failure) -> Registry {
        let copy = try step("copy", "descriptor of \(path)") { () throws(Errno) in try folder.duplicate() }
        return Registry(app: app, path: path, folder: copy)
    }

    /// What the app's file says; nil if it is missing or not whole.
    borrowing func loadApp() -> AppRecord? { contents(of: "app").flatMap { AppRecord(text: $0) } }

    borrowing func store(_ record: AppRecord) throws(Failure) { try replace("app", record.text) }

    /// All copies, oldest generation first; files that are not whole are passed over.
    borrowing func loadCopies() -> [CopyRecord] {
        var copies: [CopyRecord] = []
        for name in entryNames(of: folder) where name.contains(UInt8(ascii: "-")) && name.bytes[0] != UInt8(ascii: ".")
        {
            guard let text = contents(of: name), let copy = CopyRecord(text: text), copy.fileName == name else {
                continue
            }
            copies.append(copy)
        }
        return copies.ordered { ($0.generation, $0.copy) < ($1.generation, $1.copy) }
    }

    borrowing func store(_ record: CopyRecord) throws(Failure) { try replace(record.fileName, record.text) }

    /// With what a generation was deployed; nil if it was not.
    borrowing func loadDeployment(of generation: GenerationRecord) -> Deployment? {
        guard let found = contents(of: "deployment.\(generation.id)").flatMap({ Deployment(text: $0) }),
            found.label.isEmpty || found.label == generation.label
        else { return nil }
        return found
    }

    /// With what generations were deployed, also those that are forgotten otherwise.
    borrowing func loadDeployments() -> [Deployment] {
        entryNames(of: folder).compactMap { name in
            name.hasPrefix("deployment.") ? contents(of: name).flatMap { Deployment(text: $0) } : nil
        }
    }

    /// For nobody else's eyes: words of a command line can be secrets.
    borrowing func store(_ deployment: Deployment) throws(Failure) {
        try replace("deployment.\(deployment.generation)", deployment.text, mode: 0o600)
    }

    /// The configuration file of a generation that systemd starts again: answers its path.
    borrowing func store(configuration: ByteString, of label: ByteString) throws(Failure) -> ByteString {
        try replace("config.\(label)", configuration, mode: 0o600)
        return "\(path)/config.\(label)"
    }

    /// What a service that deploy has written says of a launcher that failed before its copy was known.
    borrowing func loadLaunchFailure(_ label: ByteString, _ copy: Int) -> ByteString? {
        contents(of: "launch.\(label).\(copy)")
    }

    borrowing func store(launchFailure reason: ByteString, _ label: ByteString, _ copy: Int) throws(Failure) {
        try replace("launch.\(label).\(copy)", reason)
    }

    /// The label of what deploy writes services for, until its copies serve or are taken down: whoever has
    /// `deploy.lock` and finds it here knows that a deploy was killed.
    borrowing func store(unfinished label: ByteString) throws(Failure) { try replace("launch.now", label) }

    borrowing func loadUnfinished() -> ByteString? { contents(of: "launch.now") }

    /// Before a deploy and after it, with the above.
    borrowing func removeLaunchFailures() {
        for name in entryNames(of: folder) where name.hasPrefix("launch.") {
            _ = reason { () throws(Errno) in try unlink(name, in: folder) }
        }
    }

    /// Removes what belongs to generations that are not known any more.
    borrowing func remove(_ deployments: [Deployment], but known: [GenerationRecord]) {
        for old in deployments where !known.contains(where: { $0.id == old.generation }) {
            _ = reason { () throws(Errno) in try unlink("deployment.\(old.generation)", in: folder) }
        }
        for name in entryNames(of: folder)
        where name.hasPrefix("config.") && !known.contains(where: { name == "config.\($0.label)" }) {
            _ = reason { () throws(Errno) in try unlink(name, in: folder) }
        }
    }

    /// Removes what somebody who was killed in the middle of writing of a copy has left. Whoever writes has the lock.
    borrowing func removeHalfWritten() {
        guard let lock = try? lock(until: .noWait) else { return }
        for name in entryNames(of: folder) where name.hasPrefix(".") && name.hasSuffix(".new") {
            guard name.dropFirst(1).cut(at: UInt8(ascii: "-"))?.head.decimal != nil else { continue }
            _ = reason { () throws(Errno) in try unlink(name, in: folder) }
        }
        lock.release(closing: ())
    }

    borrowing func remove(_ record: CopyRecord) {
        _ = reason { () throws(Errno) in try unlink(record.fileName, in: folder) }
    }

    private borrowing func contents(of name: ByteString) -> ByteString? {
        do throws(Errno) {
            let file = try ReusePortKit.open(name, in: folder, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
            let info = try status(of: file)
            let owner = try status(of: folder).owner
            guard info.isRegular, info.owner == owner, info.mode & 0o022 == 0 else { return nil }
            return try readAll(file, atMost: 1 << 22)
        } catch {
            return nil
        }
    }

    /// Writes beside the name and renames: whoever reads, and whoever comes after a crash, finds all or nothing of it.
    private borrowing func replace(_ name: ByteString, _ text: ByteString, mode: mode_t = 0o644) throws(Failure) {
        let temporary: ByteString = ".\(name).new"
        try step("write", "\(path)/\(name)") { () throws(Errno) in
            func make() throws(Errno) -> Descriptor {
                try ReusePortKit.open(
                    temporary, in: folder, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
            }
            let file: Descriptor
            do throws(Errno) {
                file = try make()
            } catch {
                // What a crash left there is nobody's: the lock is ours.
                guard error == .exists else { throw error }
                try unlink(temporary, in: folder)
                file = try make()
            }
            try writeAll(text, to: file)
            try rename(temporary, to: name, in: folder)
        }
    }
}

/// Where apps are registered unless `--run-dir` says otherwise.
func defaultRunDirectory() throws(Failure) -> ByteString {
    if geteuid() == 0 { return "/run/reuseport-exec" }
    if let runtime = environmentVariable("XDG_RUNTIME_DIR"), runtime.hasPrefix("/") {
        return "\(runtime)/reuseport-exec"
    }
    throw .usage("find", "the run directory", "XDG_RUNTIME_DIR is not set", remedy: "set it, or give --run-dir DIR")
}

/// Opens the run directory, and makes its last part if need be; nil if it is not there.
func openRunDirectory(_ path: ByteString, create: Bool) throws(Failure) -> Descriptor? {
    if create {
        let code = path.withCString { mkdir($0, 0o755) == 0 ? 0 : clinux_errno() }
        if code != 0 && code != EEXIST { throw Failure("make", "run directory \(path)", Errno(rawValue: code)) }
    }
    do throws(Errno) {
        // Its parents may be links, as /var/run is; itself it may not.
        return try trusted(try open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), path)
    } catch {
        if error == .noEntry && !create { return nil }
        throw folderFailure(error, "run directory \(path)")
    }
}

/// Opens an app's folder, and makes it if need be; nil if it is not there.
private func openAppFolder(
    _ name: ByteString, in parent: borrowing Descriptor, path: ByteString, create: Bool
) throws(Failure) -> Descriptor? {
    if create {
        let number = parent.number
        let code = name.withCString { mkdirat(number, $0, 0o755) == 0 ? 0 : clinux_errno() }
        if code != 0 && code != EEXIST { throw Failure("make", "folder \(path)", Errno(rawValue: code)) }
    }
    do throws(Errno) {
        return try trusted(try open(name, in: parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), path)
    } catch {
        if error == .noEntry && !create { return nil }
        throw folderFailure(error, "folder \(path)")
    }
}

/// Refuses a folder in which somebody else can put what we then believe.
private func trusted(_ folder: consuming Descriptor, _ path: ByteString) throws(Errno) -> Descriptor {
    let info = try status(of: folder)
    let isOwn = info.owner == geteuid() || info.owner == 0
    guard isOwn, info.mode & 0o022 == 0 else { throw .distrusted }
    return folder
}

private func folderFailure(_ errno: Errno, _ object: ByteString) -> Failure {
    switch errno {
    case .distrusted:
        Failure(
            .system, "trust", object, "others own it or may write it",
            remedy: "it must belong to this user or to root, with mode 755 or less")
    case .loop, .notDirectory:
        Failure(.system, "trust", object, "it is a symbolic link or no directory", remedy: "remove it")
    default: Failure("open", object, errno)
    }
}

extension Errno {
    /// Not a reason that the kernel gives here: the folder is there, but not to be trusted.
    fileprivate static let distrusted = Errno(rawValue: EKEYREJECTED)
}
