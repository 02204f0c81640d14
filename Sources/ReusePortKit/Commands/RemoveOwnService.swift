import CLinux

/// Removes the service directory in which we run if deploy has written it for this very copy.
func removeOwnService(_ supervisor: Supervisor?, _ request: VerbRequest, _ log: LogLines) {
    guard let supervisor, let path = supervisor.serviceFolder else { return }
    let name = lastComponent(of: path)
    // Somebody else is about to remove it.
    if name.hasPrefix(".") { return }
    let wanted = ServiceMarker(app: request.app ?? "", label: request.generation ?? "", copy: request.copy ?? 0)
    do throws(Failure) {
        // That others may write to where it lies is a reason to leave it alone, and none to speak of.
        guard let scan = try? ScanDirectory.open(directory(of: path), isS6: supervisor.isS6),
            scan.marker(of: name) == wanted, let hidden = try hideService(name, in: scan)
        else { return }
        // The supervisor waits for us, and uses what is in there until it ends: somebody else has to remove that.
        let child = try step("start", "a process") { () throws(Errno) in try checked(fork()) }
        if child != 0 { return }
        _ = setsid()
        if let null = try? open("/dev/null", O_RDWR) { for number in Int32(0)...2 { dup2(null.number, number) } }
        _ = clinux_enter_root()
        // What is left if this fails is swept up by the next deploy.
        _ = try? removeHidden(hidden, from: scan, patience: .seconds(20))
        _exit(0)
    } catch {
        log.warning(error.message)
    }
}
