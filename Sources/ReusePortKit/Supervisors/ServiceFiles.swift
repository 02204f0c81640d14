/// A file of a service directory.
struct ServiceFile: Equatable {
    /// The path within the service directory; only `log/run` has a folder in it.
    var name: ByteString
    var text: ByteString
    var isExecutable = true

    /// Command lines, configurations and environments may hold secrets.
    var mode: UInt32 {
        if isExecutable { return 0o700 }
        return name == "config" || name == "environment" ? 0o600 : 0o644
    }
}

extension Service {
    /// The files of a service directory of runit or s6. The marker comes first, so that a half written one can be
    /// recognized.
    func files(forS6 isS6: Bool, logDirectory: ByteString) -> [ServiceFile] {
        var words = command
        if isS6 { words.insert(contentsOf: ["--notify-fd", ByteString(decimal: notifyDescriptor)], at: 1) }
        let finish = quotedForShell([command[0], "finish"] + finishOptions)
        let check = quotedForShell([command[0], "check", app, "--generation", label] + runDirectoryOption)
        let log = quotedForShell(
            isS6 ? ["s6-log", "t", "n10", "s1000000", logDirectory] : ["svlogd", "-tt", logDirectory])
        var files = [
            ServiceFile(name: ServiceMarker.fileName, text: marker.text, isExecutable: false),
            ServiceFile(
                name: "run",
                text: """
                    #!/bin/sh
                    exec 2>&1
                    cd -- \(quotedForShell([workingDirectory])) || exit 111
                    exec \(quotedForShell(words))

                    """),
            ServiceFile(name: "finish", text: "#!/bin/sh\nexec \(finish) -- \"$@\"\n"),
            ServiceFile(name: "log/run", text: "#!/bin/sh\nexec \(log)\n"),
        ]
        for (name, text) in [("config", configuration), ("environment", environment)] as [(ByteString, ByteString?)] {
            if let text { files.append(ServiceFile(name: name, text: text, isExecutable: false)) }
        }
        if isS6 {
            files.append(
                ServiceFile(
                    name: "notification-fd", text: "\(notifyDescriptor)\n", isExecutable: false))
            // The longest that --on-exit and the pause before the next start may take; s6's own is five seconds.
            files.append(ServiceFile(name: "timeout-finish", text: "90000\n", isExecutable: false))
        } else {
            files.append(ServiceFile(name: "check", text: "#!/bin/sh\nexec \(check)\n"))
        }
        return files
    }

    /// A unit of systemd.
    func unit(workingDirectory: ByteString) -> ByteString {
        // NotifyAccess: the helper sends READY=1 and names the main process. KillMode: only that gets the stop signal.
        // SendSIGKILL: a retired copy may finish its requests, and the handoff kills it if need be. Restart: a copy is
        // started again however it ended, as by runit and s6; `systemctl stop` keeps one down.
        """
        # \(ServiceMarker.fileName) \(app) \(label) \(copy)
        [Unit]
        Description=\(app), generation \(label), copy \(copy)
        StartLimitIntervalSec=0

        [Service]
        Type=notify
        NotifyAccess=all
        WorkingDirectory=\(workingDirectory)
        ExecStart=\(quotedForUnit(command))
        ExecStopPost=-\(quotedForUnit([command[0], "finish"] + finishOptions))
        Restart=always
        RestartSec=1\(permanentLine)\(memoryLines)
        KillMode=mixed
        KillSignal=\(signalName(stopSignal))
        SendSIGKILL=no
        TimeoutStartSec=\(readyTimeout.count + 65_000)ms
        TimeoutStopSec=\(stopTimeout.count + 90_000)ms

        """
    }

    private var memoryLines: ByteString {
        let high: ByteString = memoryHigh.map { "\nMemoryHigh=\($0)" } ?? ""
        return memoryMax.map { "\(high)\nMemoryMax=\($0)" } ?? high
    }

    /// The exit codes of `--permanent`, with ranges written out because systemd has none.
    private var permanentLine: ByteString {
        guard let permanent, let ranges = try? parseExitCodes(permanent) else { return "" }
        let codes = ranges.flatMap { range in range.map { ByteString(decimal: $0) } }
        return "\nRestartPreventExitStatus=\(joined(codes, by: " "))"
    }
}

/// Reads exit codes and ranges of them: `0,100-110`.
func parseExitCodes(_ text: ByteString) throws(Malformed) -> [ClosedRange<Int>] {
    var ranges: [ClosedRange<Int>] = []
    for part in text.split(on: UInt8(ascii: ",")) {
        let ends = part.cut(at: UInt8(ascii: "-")) ?? (part, part)
        let first = try parseNumber(ends.0, 0...255)
        let last = try parseNumber(ends.1, 0...255)
        guard first <= last else { throw Malformed("\(part) is no range", remedy: "the smaller code comes first") }
        ranges.append(first...last)
    }
    return ranges
}
