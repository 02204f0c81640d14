import CLinux

extension ServiceMarker {
    @inline(never)
    var unitName: ByteString { "reuseport-exec-\(app)-\(label)-\(copy).service" }

    /// Reads the first line of a unit.
    fileprivate init?(unitLine line: ByteString) {
        let words = line.split(on: UInt8(ascii: " "))
        guard words.count == 5, words[0] == "#", words[1] == ServiceMarker.fileName, let copy = words[4].decimal else {
            return nil
        }
        self.init(app: words[2], label: words[3], copy: Int(clamping: copy))
    }
}

extension Service {
    var unitName: ByteString { marker.unitName }
}

/// The directory for units that last until the next boot.
private func unitDirectory() throws(Failure) -> ByteString {
    if geteuid() == 0 { return "/run/systemd/system" }
    guard let runtime = environmentVariable("XDG_RUNTIME_DIR"), runtime.hasPrefix("/") else {
        throw .usage("find", "the directory of units", "XDG_RUNTIME_DIR is not set")
    }
    return "\(runtime)/systemd/user"
}

private func openUnits() throws(Failure) -> ScanDirectory {
    let path = try unitDirectory()
    if geteuid() != 0, path.withCString({ mkdir($0, 0o755) }) == -1, clinux_errno() == ENOENT {
        _ = directory(of: path).withCString { mkdir($0, 0o755) }
        _ = path.withCString { mkdir($0, 0o755) }
    }
    return try ScanDirectory.open(path, isS6: false)
}

/// Writes the unit of a copy. Replaces one that deploy wrote for this copy, and refuses any other of this name.
func writeUnit(_ service: Service) throws(Failure) {
    let units = try openUnits()
    let path: ByteString = "\(units.path)/\(service.unitName)"
    guard let directory = writtenForUnit(path: service.workingDirectory) else {
        throw Failure(
            .usage, "write", path, "a unit cannot have the working directory \(service.workingDirectory)",
            remedy: "start it from another one")
    }
    if (try? status(of: service.unitName, in: units.folder)) != nil,
        marker(of: service.unitName, units) != service.marker
    {
        throw Failure(
            .system, "write", path, "it exists, and is not one that deploy wrote for this copy",
            remedy: "remove it, or choose another --generation")
    }
    let temporary: ByteString = ".\(service.unitName).new"
    try step("write", path) { () throws(Errno) in
        if let reason = reason({ () throws(Errno) in try unlink(temporary, in: units.folder) }), reason != .noEntry {
            throw reason
        }
        try makeFile(temporary, service.unit(workingDirectory: directory), mode: 0o644, in: units.folder)
        try rename(temporary, to: service.unitName, in: units.folder)
    }
}

@inline(never)
private func marker(of name: ByteString, _ units: ScanDirectory) -> ServiceMarker? {
    guard let file = try? openTrusted(name, in: units.folder, object: name),
        let text = try? readAll(file, atMost: 1 << 22)
    else { return nil }
    return ServiceMarker(unitLine: text.split(on: UInt8(ascii: "\n"))[0])
}

/// The units that deploy wrote for an app.
func unitMarkers(of app: ByteString) -> [ServiceMarker] {
    guard let units = try? openUnits() else { return [] }
    var found: [ServiceMarker] = []
    for name in entryNames(of: units.folder) where name.hasPrefix("reuseport-exec-\(app)-") {
        if let marker = marker(of: name, units), marker.app == app, marker.unitName == name { found.append(marker) }
    }
    return found.ordered { $0.isBefore($1) }
}

/// Whether a process of the unit runs, or will again; yes if systemd does not say.
func isActive(_ marker: ServiceMarker) -> Bool {
    let state = SystemdManager.own.show("ActiveState", of: marker.unitName).first
    return state != "ActiveState=inactive" && state != "ActiveState=failed"
}

/// Removes units that deploy wrote, and has systemd forget that they failed.
func removeUnits(_ markers: [ServiceMarker]) throws(Failure) {
    if markers.isEmpty { return }
    let units = try openUnits()
    for one in markers where marker(of: one.unitName, units) == one {
        try step("remove", "\(units.path)/\(one.unitName)") { () throws(Errno) in
            try unlink(one.unitName, in: units.folder)
        }
    }
    // This fails if one of them has not failed.
    _ = try? SystemdManager.own.run("reset-failed", markers.map { $0.unitName })
    try reloadUnits()
}

/// Has systemd read its units again.
func reloadUnits() throws(Failure) { try SystemdManager.own.run("daemon-reload", timeout: .seconds(60)) }
