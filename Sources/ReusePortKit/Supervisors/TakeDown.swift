import CLinux

/// Ends the services of a generation that failed, and removes them: the supervisor is told, their processes are waited
/// for, and killed if they take longer than they may.
func takeDown(_ services: [Service], on target: SupervisionTarget) throws(Failure) {
    guard let path = target.directory else {
        let present = services.filter { hasUnit($0) }
        if present.isEmpty { return }
        let names = present.map { $0.unitName }
        // The stop signal may be one that ends nothing, for a program that is told in another way when it serves.
        _ = try? systemctl(
            "kill", "units", ["kill", "--kill-who=main", "--signal=TERM", "--"] + names, ofUser: geteuid() != 0)
        // It waits until they have ended.
        let patience = services.reduce(Milliseconds.seconds(100)) {
            max($0, Milliseconds($1.stopTimeout.count + 100_000))
        }
        try systemctl(
            "stop", joined(names, by: " "), ["stop", "--"] + names, ofUser: geteuid() != 0, timeout: patience)
        return try removeUnits(present.map { $0.marker })
    }
    let scan = try ScanDirectory.open(path, isS6: target.isS6)
    let present = services.filter { scan.marker(of: $0.name) == $0.marker }
    for service in present { try tell(UInt8(ascii: "d"), service, scan) }
    for service in present { try awaitEnd(of: service, scan) }
    for service in present { try removeService(service.name, from: scan) }
    sweepServices(of: services.first?.app ?? "", in: scan)
}

private func tell(_ word: UInt8, _ service: Service, _ scan: borrowing ScanDirectory) throws(Failure) {
    do throws(Failure) {
        _ = try ControlCommand.send(word, to: "\(scan.path)/\(service.name)")
    } catch {
        // Its finish script may have removed it, or its supervisor never have come to it.
        if scan.isSupervised(service.name) { throw error }
    }
}

/// Waits until neither the service nor its finish script runs.
private func awaitEnd(of service: Service, _ scan: borrowing ScanDirectory) throws(Failure) {
    func isOver() -> Bool {
        scan.marker(of: service.name) == nil || !scan.isSupervised(service.name)
            || scan.serviceStatus(of: service.name).map { $0.isOver } ?? false
    }
    let deadline = Deadline(after: service.stopTimeout)
    var pause = Pause()
    while !isOver(), !deadline.hasPassed {
        // Its supervisor may have come to it only after it was told.
        if scan.serviceStatus(of: service.name)?.isWantedUp == true { try tell(UInt8(ascii: "d"), service, scan) }
        pause.wait(until: deadline)
    }
    if isOver() { return }
    try tell(UInt8(ascii: "k"), service, scan)
    // The finish script still has to record it, and to run --on-exit.
    let last = Deadline(after: .seconds(45))
    while !isOver(), !last.hasPassed { pause.wait(until: last) }
    if !isOver() {
        throw Failure(
            .system, "take down", "service \(scan.path)/\(service.name)", "it still runs after KILL",
            remedy: "see its supervisor")
    }
}

/// Removes services of an app whose processes have gone; what runs, and what is not ours, stays.
func removeServices(
    app: ByteString, on target: SupervisionTarget, where isWanted: (ByteString, Int) -> Bool
) throws(Failure) {
    guard let path = target.directory else {
        let over = unitMarkers(of: app).filter { isWanted($0.label, $0.copy) }
        // Their processes have gone; what is run after them has not, perhaps: it records their end, and runs --on-exit.
        let deadline = Deadline(after: .seconds(45))
        var pause = Pause()
        while over.contains(where: { isActive($0) }), !deadline.hasPassed { pause.wait(until: deadline) }
        return try removeUnits(over.filter { !isActive($0) })
    }
    let scan = try ScanDirectory.open(path, isS6: target.isS6)
    for (name, marker) in scan.services(of: app) where isWanted(marker.label, marker.copy) {
        // Down, and to stay so: what is about to be started again is not over.
        if scan.isSupervised(name), let status = scan.serviceStatus(of: name), !status.isOver {
            continue
        }
        try removeService(name, from: scan)
    }
    sweepServices(of: app, in: scan)
}

/// The copies of an app that this supervisor has services for.
func supervisedCopies(app: ByteString, on target: SupervisionTarget) throws(Failure) -> [(label: ByteString, copy: Int)]
{
    guard let path = target.directory else { return unitMarkers(of: app).map { ($0.label, $0.copy) } }
    return try ScanDirectory.open(path, isS6: target.isS6).services(of: app).map { ($0.marker.label, $0.marker.copy) }
}

extension SupervisionTarget {
    var isS6: Bool { if case .s6 = self { true } else { false } }

    /// Whether its directory was removed, with all that was in it.
    var hasGone: Bool { directory?.withCString { access($0, F_OK) == -1 && clinux_errno() == ENOENT } ?? false }
}
