import CLinux

/// Ends the services of a generation that failed, and removes them. Processes that outlast their stop timeout are killed.
func takeDown(_ services: [Service], on target: SupervisionTarget) throws(Failure) {
    guard let app = services.first?.app else { return }
    guard let scan = try ScanDirectory.open(target) else { return try takeDownUnits(services, of: app) }
    let present = services.filter { scan.marker(of: $0.name) == $0.marker }
    for service in present { try tell(UInt8(ascii: "d"), service, scan) }
    for service in present { try awaitEnd(of: service, scan) }
    for service in present { try removeService(service.name, from: scan) }
    sweepServices(of: app, in: scan)
}

private func takeDownUnits(_ services: [Service], of app: ByteString) throws(Failure) {
    let known = unitMarkers(of: app)
    let present = services.map { $0.marker }.filter { known.contains($0) }
    if present.isEmpty { return }
    let names = present.map { $0.unitName }
    // The stop signal may not end a program that has not begun to serve.
    _ = try? SystemdManager.own.run("kill", names, options: ["--kill-who=main", "--signal=TERM"])
    // `systemctl stop` returns when they have ended.
    let patience = services.reduce(Milliseconds.seconds(100)) {
        max($0, Milliseconds($1.stopTimeout.count + 100_000))
    }
    try SystemdManager.own.run("stop", names, timeout: patience)
    try removeUnits(present)
}

private func tell(_ word: UInt8, _ service: Service, _ scan: ScanDirectory) throws(Failure) {
    do throws(Failure) {
        _ = try ControlCommand.send(word, to: "\(scan.path)/\(service.name)")
    } catch {
        // Its finish script may have removed it, or its supervisor may never have seen it.
        if scan.isSupervised(service.name) { throw error }
    }
}

/// Waits until neither the service nor its finish script runs.
private func awaitEnd(of service: Service, _ scan: ScanDirectory) throws(Failure) {
    func isOver() -> Bool {
        scan.marker(of: service.name) == nil || !scan.isSupervised(service.name)
            || scan.serviceStatus(of: service.name).map { $0.isOver } ?? false
    }
    let deadline = Deadline(after: service.stopTimeout)
    var pause = Pause()
    while !isOver(), !deadline.hasPassed {
        // Its supervisor may have started it only after the command was sent.
        if scan.serviceStatus(of: service.name)?.isWantedUp == true { try tell(UInt8(ascii: "d"), service, scan) }
        pause.wait(until: deadline)
    }
    if isOver() { return }
    try tell(UInt8(ascii: "k"), service, scan)
    // The finish script still has to record its end, and to run --on-exit.
    let last = Deadline(after: .seconds(45))
    while !isOver(), !last.hasPassed { pause.wait(until: last) }
    if !isOver() {
        throw Failure(
            .system, "take down", "service \(scan.path)/\(service.name)", "it still runs after KILL",
            remedy: "see the log of its supervisor")
    }
}

/// Removes those services of an app that are wanted removed and whose processes have gone.
func removeServices(
    app: ByteString, on target: SupervisionTarget, where isWanted: (ByteString, Int) -> Bool
) throws(Failure) {
    guard let scan = try ScanDirectory.open(target) else {
        let over = unitMarkers(of: app).filter { isWanted($0.label, $0.copy) }
        // Their processes have gone, but `finish` may still run after them: it records their end and runs --on-exit.
        let deadline = Deadline(after: .seconds(45))
        var pause = Pause()
        while over.contains(where: { isActive($0) }), !deadline.hasPassed { pause.wait(until: deadline) }
        return try removeUnits(over.filter { !isActive($0) })
    }
    for (name, marker) in scan.services(of: app) where isWanted(marker.label, marker.copy) {
        // A service that is about to be started again is not over.
        if scan.isSupervised(name), let status = scan.serviceStatus(of: name), !status.isOver { continue }
        try removeService(name, from: scan)
    }
    sweepServices(of: app, in: scan)
}

/// The copies of an app that this supervisor has services for.
func supervisedCopies(app: ByteString, on target: SupervisionTarget) throws(Failure) -> [ServiceMarker] {
    guard let scan = try ScanDirectory.open(target) else { return unitMarkers(of: app) }
    return scan.services(of: app).map { $0.marker }
}

extension SupervisionTarget {
    /// Whether its directory was removed, with everything in it.
    var hasGone: Bool { directory?.withCString { access($0, F_OK) == -1 && clinux_errno() == ENOENT } ?? false }
}
