import CLinux

/// Writes the service directory or the unit of a copy, whole or not at all. Replaces one that deploy wrote for this copy
/// and that does not run, and refuses any other of this name.
func writeService(_ service: Service, on target: SupervisionTarget) throws(Failure) {
    try service.check()
    guard let scan = try ScanDirectory.open(target) else { return try writeUnit(service) }
    try write(service, in: scan)
}

private func write(_ service: Service, in scan: ScanDirectory) throws(Failure) {
    let path: ByteString = "\(scan.path)/\(service.name)"
    sweepServices(of: service.app, in: scan)
    let logs = try logDirectory(of: service)
    try makeOwnLogDirectory(logs)
    awaitLeaving(service, scan)
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
            if file.name.hasPrefix("log/") {
                try makeFile(file.name.dropFirst(4), file.text, mode: file.mode, in: log)
            } else {
                try makeFile(file.name, file.text, mode: file.mode, in: directory)
            }
        }
        try rename(temporary, to: service.name, in: scan.folder)
    } catch {
        _ = reason { () throws(Errno) in try removeTree(temporary, in: scan.folder, last: ServiceMarker.fileName) }
        throw Failure("write", "service \(path)", error)
    }
}

/// Waits for a service that scale has just taken away: it may still run its finish script, which then removes it.
private func awaitLeaving(_ service: Service, _ scan: ScanDirectory) {
    let deadline = Deadline(after: .seconds(10))
    var pause = Pause()
    while scan.marker(of: service.name) == service.marker, scan.isSupervised(service.name),
        let status = scan.serviceStatus(of: service.name), status.pid != nil, !status.isWantedUp, !deadline.hasPassed
    {
        pause.wait(until: deadline)
    }
}

/// Changes the command that an existing service runs from its next start on.
func updateService(_ service: Service, on target: SupervisionTarget) throws(Failure) {
    guard let scan = try ScanDirectory.open(target) else { return try writeUnit(service) }
    guard scan.marker(of: service.name) == service.marker else { return }
    let files = service.files(forS6: scan.isS6, logDirectory: try logDirectory(of: service))
    try step("write", "service \(scan.path)/\(service.name)") { () throws(Errno) in
        let directory = try open(service.name, in: scan.folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        // The command last: it may refer to variables that an earlier version has not written to the file.
        for name in ["environment", "run"] as [ByteString] {
            for file in files where file.name == name {
                // A crash may have left it.
                _ = reason { () throws(Errno) in try unlink(".run.new", in: directory) }
                try makeFile(".run.new", file.text, mode: file.mode, in: directory)
                try rename(".run.new", to: name, in: directory)
            }
        }
    }
}

/// Where the logs of this copy go.
func logDirectory(of service: Service) throws(Failure) -> ByteString {
    "\(try logFolder(of: service))/\(service.label)-\(service.copy)"
}

/// The folder around those of the app's copies.
@inline(never)
func logFolder(of service: Service) throws(Failure) -> ByteString {
    guard let given = service.logDirectory else { return "\(try usualLogDirectory())/\(service.app)" }
    guard given.hasPrefix("/") else {
        throw .usage("write", "service \(service.name)", "'\(given)' does not start at the root")
    }
    return given
}
