import CLinux

/// Writes the service directory or the unit of a copy, whole or not at all. What is there under its name and was not
/// written here for the same copy is refused, and so is what runs.
func writeService(_ service: Service, on target: SupervisionTarget) throws(Failure) {
    try service.check()
    switch target {
    case .runit(let path): try write(service, in: try ScanDirectory.open(path, isS6: false))
    case .s6(let path): try write(service, in: try ScanDirectory.open(path, isS6: true))
    case .systemd: try writeUnit(service)
    }
}

private func write(_ service: Service, in scan: borrowing ScanDirectory) throws(Failure) {
    let path: ByteString = "\(scan.path)/\(service.name)"
    sweepServices(of: service.app, in: scan)
    let logs = try makeLogDirectory(of: service)
    if (try? status(of: service.name, in: scan.folder)) != nil {
        guard let marker = scan.marker(of: service.name) else {
            throw Failure(
                .system, "write", "service \(path)", "it exists, and is not one that deploy wrote",
                remedy: "remove it, or choose another --generation")
        }
        guard marker == service.marker else {
            throw Failure(
                .system, "write", "service \(path)", "it is copy \(marker.copy) of \(marker.app) \(marker.label)",
                remedy: "choose another --generation")
        }
        if let pid = scan.serviceStatus(of: service.name)?.pid, scan.isSupervised(service.name) {
            throw Failure(
                .system, "write", "service \(path)", "it runs as pid \(pid)", remedy: "choose another --generation")
        }
        try removeService(service.name, from: scan)
    }
    // The supervisors pass over what begins with a dot.
    let temporary: ByteString = ".\(service.name).\(getpid()).new"
    do throws(Errno) {
        let directory = try makeDirectory(temporary, mode: 0o755, in: scan.folder)
        let log = try makeDirectory("log", mode: 0o755, in: directory)
        for file in service.files(forS6: scan.isS6, logDirectory: logs) {
            // What the words of a command line say is nobody's business else.
            let mode: mode_t = file.isExecutable ? 0o700 : file.name == "config" ? 0o600 : 0o644
            if file.name.hasPrefix("log/") {
                try makeFile(file.name.dropFirst(4), file.text, mode: mode, in: log)
            } else {
                try makeFile(file.name, file.text, mode: mode, in: directory)
            }
        }
        try rename(temporary, to: service.name, in: scan.folder)
    } catch {
        _ = reason { () throws(Errno) in try removeTree(temporary, in: scan.folder, last: ServiceMarker.fileName) }
        throw Failure("write", "service \(path)", error)
    }
}

/// Has a service that is there run something else from its next start on.
func updateService(_ service: Service, on target: SupervisionTarget) throws(Failure) {
    guard let path = target.directory else { return try writeUnit(service) }
    let scan = try ScanDirectory.open(path, isS6: target.isS6)
    guard scan.marker(of: service.name) == service.marker else { return }
    let files = service.files(forS6: scan.isS6, logDirectory: try logDirectory(of: service))
    try step("write", "service \(path)/\(service.name)") { () throws(Errno) in
        let directory = try open(service.name, in: scan.folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        for file in files where file.name == "run" {
            // What a crash left there is nobody's.
            _ = reason { () throws(Errno) in try unlink(".run.new", in: directory) }
            try makeFile(".run.new", file.text, mode: 0o700, in: directory)
            try rename(".run.new", to: "run", in: directory)
        }
    }
}

/// Where the logs of this copy go; made if need be.
private func makeLogDirectory(of service: Service) throws(Failure) -> ByteString {
    let path = try logDirectory(of: service)
    var above = path
    var missing: [ByteString] = []
    while above != "/", above.withCString({ access($0, F_OK) }) != 0 {
        missing.append(lastComponent(of: above))
        above = directory(of: above)
    }
    while let name = missing.popLast() {
        let place = try followPath(above == "/" ? "/\(name)" : "\(above)/\(name)", object: path)
        let isLast = missing.isEmpty
        try step("make", "log directory \(path)") { () throws(Errno) in
            do throws(Errno) {
                _ = try makeDirectory(place.name, mode: isLast ? 0o750 : 0o755, in: place.directory)
            } catch {
                // Another copy's, made meanwhile.
                if error != .exists { throw error }
            }
        }
        above = "\(above == "/" ? "" : above)/\(name)"
    }
    // Opened as it is used: what others have put there instead is not written into.
    let place = try followPath(path, object: path)
    let facts = try step("open", "log directory \(path)") { () throws(Errno) in
        try status(of: open(place.name, in: place.directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
    }
    guard facts.owner == geteuid(), facts.mode & 0o022 == 0 else {
        throw Failure(
            .system, "trust", "log directory \(path)", "others own it or may write it", remedy: "give another --log")
    }
    return path
}

func logDirectory(of service: Service) throws(Failure) -> ByteString {
    let own: ByteString = "\(service.label)-\(service.copy)"
    if let given = service.logDirectory {
        guard given.hasPrefix("/") else {
            throw .usage("write", "service \(service.name)", "'\(given)' does not start at the root")
        }
        return "\(given)/\(own)"
    }
    if geteuid() == 0 { return "/var/log/reuseport-exec/\(service.app)/\(own)" }
    if let state = environmentVariable("XDG_STATE_HOME"), state.hasPrefix("/") {
        return "\(state)/reuseport-exec/\(service.app)/\(own)"
    }
    guard let home = environmentVariable("HOME"), home.hasPrefix("/") else {
        throw .usage("find", "the log directory", "HOME is not set", remedy: "set it, or give --log DIR")
    }
    return "\(home)/.local/state/reuseport-exec/\(service.app)/\(own)"
}
