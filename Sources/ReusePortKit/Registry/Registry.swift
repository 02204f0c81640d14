import CLinux

/// The folder of an app, in which its generations find each other.
///
/// Its files can be stale or lost at any moment: readers correct them by the kernel (`reconciled`), and writers hold one
/// lock and replace each file whole by rename(2).
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

    /// Another descriptor of this folder.
    borrowing func duplicate() throws(Failure) -> Registry {
        let copy = try step("copy", "descriptor of \(path)") { () throws(Errno) in try folder.duplicate() }
        return Registry(app: app, path: path, folder: copy)
    }

    /// The app's record; nil if its file is missing or damaged.
    borrowing func loadApp() -> AppRecord? { contents(of: "app").flatMap { AppRecord(text: $0) } }

    borrowing func store(_ record: AppRecord) throws(Failure) { try replace("app", record.text) }

    /// The records of all copies, oldest generation first, without damaged files.
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

    /// How a generation was deployed; nil if it was not.
    borrowing func loadDeployment(of generation: GenerationRecord) -> Deployment? {
        guard let found = contents(of: "deployment.\(generation.id)").flatMap({ Deployment(text: $0) }),
            found.label.isEmpty || found.label == generation.label
        else { return nil }
        return found
    }

    /// How generations were deployed, including those that `AppRecord` has forgotten.
    borrowing func loadDeployments() -> [Deployment] {
        entryNames(of: folder).compactMap { name in
            name.hasPrefix("deployment.") ? contents(of: name).flatMap { Deployment(text: $0) } : nil
        }
    }

    /// Writes a deployment that only this user can read: command lines can hold secrets.
    borrowing func store(_ deployment: Deployment) throws(Failure) {
        try replace("deployment.\(deployment.generation)", deployment.text, mode: 0o600)
    }

    /// Writes the configuration file of a generation whose copies systemd starts. Returns its path.
    borrowing func store(configuration: ByteString, of label: ByteString) throws(Failure) -> ByteString {
        try replace("config.\(label)", configuration, mode: 0o600)
        return "\(path)/config.\(label)"
    }

    /// Why the launcher of a service failed before its copy was registered.
    borrowing func loadLaunchFailure(_ label: ByteString, _ copy: Int) -> ByteString? {
        contents(of: "launch.\(label).\(copy)")
    }

    borrowing func store(launchFailure reason: ByteString, _ label: ByteString, _ copy: Int) throws(Failure) {
        try replace("launch.\(label).\(copy)", reason)
    }

    /// Writes the label of the generation for which deploy writes services. It is removed when the copies serve or are
    /// taken down, so a holder of `deploy.lock` who finds it knows that a deploy was killed.
    borrowing func store(unfinished label: ByteString) throws(Failure) { try replace("launch.now", label) }

    borrowing func loadUnfinished() -> ByteString? { contents(of: "launch.now") }

    /// Removes launch failures and the unfinished label, before and after a deploy.
    borrowing func removeLaunchFailures() {
        for name in entryNames(of: folder) where name.hasPrefix("launch.") {
            _ = reason { () throws(Errno) in try unlink(name, in: folder) }
        }
    }

    /// Removes the deployments and configuration files of generations that are not known any more.
    borrowing func remove(_ deployments: [Deployment], but known: [GenerationRecord]) {
        for old in deployments where !known.contains(where: { $0.id == old.generation }) {
            _ = reason { () throws(Errno) in try unlink("deployment.\(old.generation)", in: folder) }
        }
        for name in entryNames(of: folder)
        where name.hasPrefix("config.") && !known.contains(where: { name == "config.\($0.label)" }) {
            _ = reason { () throws(Errno) in try unlink(name, in: folder) }
        }
    }

    /// Removes records of copies that killed invocations left half written. Nothing is being written while it has the
    /// lock.
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

    /// Writes another file and renames it, so that readers find the old text or the new one, even after a crash.
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
                // A crash has left it: this process has the lock.
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

/// Opens the run directory, and makes its last component if `create` is set; nil if it does not exist.
func openRunDirectory(_ path: ByteString, create: Bool) throws(Failure) -> Descriptor? {
    if create {
        let code = path.withCString { mkdir($0, 0o755) == 0 ? 0 : clinux_errno() }
        if code != 0 && code != EEXIST { throw Failure("make", "run directory \(path)", Errno(rawValue: code)) }
    }
    do throws(Errno) {
        // Parents may be links, as /var/run is; the directory itself may not.
        return try trusted(try open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), path)
    } catch {
        if error == .noEntry && !create { return nil }
        throw folderFailure(error, "run directory \(path)")
    }
}

/// Opens an app's folder, and makes it if `create` is set; nil if it does not exist.
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

/// Refuses a folder that other users may write to.
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
    /// The folder exists, but others may write to it. The kernel does not give this code for the calls above.
    fileprivate static let distrusted = Errno(rawValue: EKEYREJECTED)
}
