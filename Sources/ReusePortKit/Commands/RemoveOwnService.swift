import CLinux

/// Removes the service directory in which we run, if deploy has written it for this copy.
func removeOwnService(_ supervisor: Supervisor?, _ request: VerbRequest, _ log: LogLines) {
    guard let supervisor, let path = supervisor.serviceFolder else { return }
    let name = lastComponent(of: path)
    // It was hidden, so another process is about to remove it.
    if name.hasPrefix(".") { return }
    let wanted = ServiceMarker(app: request.app ?? "", label: request.generation ?? "", copy: request.copy ?? 0)
    do throws(Failure) {
        // If others may write to the directory around it, it is left alone without a message.
        guard let scan = try? ScanDirectory.open(directory(of: path), isS6: supervisor.isS6),
            scan.marker(of: name) == wanted, let hidden = try hideService(name, in: scan)
        else { return }
        // The supervisor waits for us, and uses the directory until it ends, so another process has to remove that.
        let child = try step("start", "a process") { () throws(Errno) in try checked(fork()) }
        if child != 0 { return }
        _ = setsid()
        useNull(at: [0, 1, 2])
        _ = clinux_leave_working_directory()
        // If this fails, the next deploy removes the rest.
        _ = try? removeHidden(hidden, from: scan, patience: .seconds(20))
        _exit(0)
    } catch {
        log.warning(error.message)
    }
}
