import CLinux

/// The folder of an app, in which its generations find each other.
///
/// Its files can be stale or lost at any moment: readers correct them by the kernel (`reconciled`), and writers hold one
/// lock and replace each file whole by rename(2).
final class Registry {
    let app: ByteString
    let path: ByteString
    let folder: Descriptor

    init(app: ByteString, path: ByteString, folder: consuming Descriptor) {
        self.app = app
        self.path = path
        self.folder = folder
    }

    /// Opens the folder of an app, and makes it if `create` is set; nil if it is not there.
    /// Not inlined: saves 2 kB.
    @inline(never)
    static func open(_ app: ByteString, in runDirectory: ByteString, create: Bool) throws(Failure) -> Registry? {
        guard let parent = try openRunDirectory(runDirectory, create: create) else { return nil }
        let path: ByteString = "\(runDirectory)/\(app)"
        guard let folder = try openFolder(app, in: parent, "folder \(path)", create: create) else { return nil }
        return Registry(app: app, path: path, folder: folder)
    }

    /// The app's record; nil if its file is missing or damaged.
    func loadApp() -> AppRecord? { appText.flatMap { AppRecord(text: $0) } }

    /// The text of the app's file.
    var appText: ByteString? { contents(of: "app") }

    func store(_ record: AppRecord) throws(Failure) { try replace("app", record.text) }

    /// The records of all copies, oldest generation first, without damaged files.
    func loadCopies() -> [CopyRecord] {
        var copies: [CopyRecord] = []
        for name in entryNames(of: folder) where name.contains(UInt8(ascii: "-")) && name.bytes[0] != UInt8(ascii: ".")
        {
            guard let text = contents(of: name), let copy = CopyRecord(text: text), copy.fileName == name else {
                continue
            }
            copy.written = (text, copy.state)
            copies.append(copy)
        }
        return copies.ordered { ($0.generation, $0.copy) < ($1.generation, $1.copy) }
    }

    /// Whether there is a record of one of these copies.
    func hasRecord(of generation: UInt64, _ copies: [Int]) -> Bool {
        copies.contains { copy in (try? status(of: "\(generation)-\(copy)", in: folder)) != nil }
    }

    func store(_ record: CopyRecord) throws(Failure) {
        let text = record.text
        try replace(record.fileName, text)
        record.written = (text, record.state)
    }

    /// How a generation was deployed; nil if it was not.
    func loadDeployment(of generation: GenerationRecord) -> Deployment? {
        guard let found = contents(of: "deployment.\(generation.id)").flatMap({ Deployment(text: $0) }),
            found.label.isEmpty || found.label == generation.label
        else { return nil }
        return found
    }

    /// How generations were deployed, including those that `AppRecord` has forgotten.
    func loadDeployments() -> [Deployment] {
        entryNames(of: folder).compactMap { name in
            name.hasPrefix("deployment.") ? contents(of: name).flatMap { Deployment(text: $0) } : nil
        }
    }

    /// Writes a deployment that only this user can read: command lines and environments can hold secrets.
    func store(_ deployment: Deployment) throws(Failure) {
        try replace("deployment.\(deployment.generation)", deployment.text, mode: 0o600)
    }

    /// Writes a file that all copies of a generation read that systemd starts: `config` or `environment`. Returns its
    /// path.
    func store(_ kind: ByteString, _ text: ByteString, of label: ByteString) throws(Failure) -> ByteString {
        try replace("\(kind).\(label)", text, mode: 0o600)
        return "\(path)/\(kind).\(label)"
    }

    /// Why the launcher of a service failed before its copy was registered.
    func loadLaunchFailure(_ label: ByteString, _ copy: Int) -> ByteString? {
        contents(of: "launch.\(label).\(copy)")
    }

    /// Notes such a reason, if a deploy waits for the generation.
    func note(launchFailure reason: ByteString, _ label: ByteString, _ copy: Int) {
        if loadUnfinished() == label { _ = try? replace("launch.\(label).\(copy)", reason) }
    }

    /// Writes the label of the generation for which deploy writes services. It is removed when the copies serve or are
    /// taken down, so a holder of `deploy.lock` who finds it knows that a deploy was killed.
    func store(unfinished label: ByteString) throws(Failure) { try replace("launch.now", label) }

    func loadUnfinished() -> ByteString? { contents(of: "launch.now") }

    /// Removes launch failures and the unfinished label, before and after a deploy.
    func removeLaunchFailures() {
        for name in entryNames(of: folder) where name.hasPrefix("launch.") {
            _ = reason { () throws(Errno) in try unlink(name, in: folder) }
        }
    }

    /// Removes the deployments, configuration files and environments of generations that are not known any more.
    func remove(_ deployments: [Deployment], but known: [GenerationRecord]) {
        for old in deployments where !known.contains(where: { $0.id == old.generation }) {
            _ = reason { () throws(Errno) in try unlink("deployment.\(old.generation)", in: folder) }
        }
        for name in entryNames(of: folder)
        where (name.hasPrefix("config.") || name.hasPrefix("environment."))
            && !known.contains(where: { name == "config.\($0.label)" || name == "environment.\($0.label)" })
        {
            _ = reason { () throws(Errno) in try unlink(name, in: folder) }
        }
    }

    /// Removes records of copies that killed invocations left half written. Nothing is being written while it has the
    /// lock.
    func removeHalfWritten() {
        guard let lock = try? lock(until: .noWait) else { return }
        for name in entryNames(of: folder) where name.hasPrefix(".") && name.hasSuffix(".new") {
            guard name.dropFirst(1).cut(at: UInt8(ascii: "-"))?.head.decimal != nil else { continue }
            _ = reason { () throws(Errno) in try unlink(name, in: folder) }
        }
        lock.release(closing: ())
    }

    func remove(_ record: CopyRecord) {
        _ = reason { () throws(Errno) in try unlink(record.fileName, in: folder) }
    }

    private func contents(of name: ByteString) -> ByteString? {
        guard let file = try? openTrusted(name, in: folder, object: name) else { return nil }
        return try? readAll(file, atMost: 1 << 23)
    }

    /// Writes another file and renames it, so that readers find the old text or the new one, even after a crash.
    func replace(_ name: ByteString, _ text: ByteString, mode: mode_t = 0o644) throws(Failure) {
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
    let usual: ByteString = "/run/user/\(geteuid())"
    throw .usage(
        "find", "the run directory", "root's apps need sudo, and for your own XDG_RUNTIME_DIR is not set",
        remedy: usual.withCString { access($0, F_OK) } == 0
            ? "set it to \(usual)"
            : "for your own have root run loginctl enable-linger USER, or give --run-dir DIR")
}

/// The apps that have a folder in a run directory or state directory, in alphabetical order.
func appNames(in directory: ByteString) throws(Failure) -> [ByteString] {
    guard let folder = try openRunDirectory(directory, create: false) else { return [] }
    return entryNames(of: folder).filter { (try? parseLabel($0, "")) != nil }.ordered { $0.precedes($1) }
}

/// Opens the run directory, and makes its last component if `create` is set; nil if it does not exist.
func openRunDirectory(_ path: ByteString, create: Bool) throws(Failure) -> Descriptor? {
    if !create, path.withCString({ access($0, F_OK) }) != 0, Errno.current == .noEntry { return nil }
    // Parents may be links, as /var/run is; the directory itself may not.
    let place = try followPath(path, object: "run directory \(path)", followsLast: false)
    if let weakness = place.weakness {
        throw Failure(
            .system, "trust", "run directory \(path)", weakness,
            remedy: "only root or this user may own and write to it and the directories above it")
    }
    return try openFolder(place.name, in: place.directory, "run directory \(path)", create: create)
}

/// Opens a directory that others may not write to, and makes it if `create` is set; nil if it does not exist.
private func openFolder(
    _ name: ByteString, in parent: borrowing Descriptor, _ object: ByteString, create: Bool
) throws(Failure) -> Descriptor? {
    if create {
        let number = parent.number
        let code = name.withCString { mkdirat(number, $0, 0o755) == 0 ? 0 : clinux_errno() }
        if code != 0 && code != EEXIST { throw Failure("make", object, Errno(rawValue: code)) }
    }
    do throws(Errno) {
        return try trusted(try open(name, in: parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
    } catch {
        if error == .noEntry && !create { return nil }
        throw folderFailure(error, object)
    }
}

/// Refuses a folder that other users may write to.
private func trusted(_ folder: consuming Descriptor) throws(Errno) -> Descriptor {
    let info = try status(of: folder)
    guard info.isOwn, info.mode & 0o022 == 0 else { throw .distrusted }
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
