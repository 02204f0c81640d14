import CLinux

/// Has the supervisor start the services that have been written: s6-svscan and systemd at once, runsvdir within the five
/// seconds after which it looks again (nothing makes it look earlier: runsvdir.c of runit 2.1.2).
func startServices(_ services: [Service], on target: SupervisionTarget) throws(Failure) {
    switch target {
    case .runit: break
    case .s6(let path):
        guard try ControlCommand.send(UInt8(ascii: "a"), to: path, pipe: ".s6-svscan/control") != nil else {
            throw Failure(.system, "tell", target.description, "no s6-svscan runs there")
        }
    case .systemd:
        try reloadUnits()
        try SystemdManager.own.run("start", services.map { $0.unitName }, options: ["--no-block"])
    }
}

/// The last lines of a service's log, oldest first, without the times; none if there is no log yet.
func serviceOutput(_ service: Service, on target: SupervisionTarget, lines: Int = 100) -> [ByteString] {
    var text = ByteString()
    if target == .systemd {
        let manager = SystemdManager.own
        let arguments: [ByteString] = [
            manager.isUser ? "--user-unit" : "--unit", service.unitName, "--lines", ByteString(decimal: lines),
            "--output", "cat", "--no-pager", "--quiet",
        ]
        text = manager.output(of: "journalctl", arguments, timeout: .seconds(5)) ?? text
    } else if let folder = try? logDirectory(of: service),
        let place = try? followPath("\(folder)/current", object: folder),
        let file = try? openRegular(place.name, in: place.directory, object: folder)
    {
        _ = lseek(file.number, -min(off_t(1 << 16), lseek(file.number, 0, SEEK_END)), SEEK_END)
        text = (try? readAll(file, atMost: 1 << 20)) ?? text
    }
    let all = text.split(on: UInt8(ascii: "\n")).filter { !$0.isEmpty }
    return all.suffix(lines).map { line in
        target == .systemd ? line : line.cut(at: UInt8(ascii: " "))?.tail ?? line
    }
}
