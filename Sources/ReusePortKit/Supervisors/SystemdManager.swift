import CLinux

/// A systemd: the system's, or the caller's own.
struct SystemdManager {
    let isUser: Bool
    var searchPath = safeSearchPath

    /// The one in which deploy writes units: for root the system's.
    static var own: SystemdManager { SystemdManager(isUser: geteuid() != 0) }

    /// Runs `systemctl OPTIONS VERB -- UNITS`. Fails if systemctl does, or if it takes too long.
    func run(
        _ verb: ByteString, _ units: [ByteString] = [], options: [ByteString] = [],
        timeout: Milliseconds = .seconds(10)
    ) throws(Failure) {
        let command: ByteString = isUser ? "systemctl --user \(verb)" : "systemctl \(verb)"
        let object = units.isEmpty ? "systemd" : joined(units, by: " ")
        let names = units.isEmpty ? [] : ["--"] + units
        let end = try runTool(
            "systemctl", (isUser ? ["--user"] : []) + options + [verb] + names, environment: environment,
            searchPath: searchPath, timeout: timeout)
        guard let status = end.status else {
            throw Failure(.system, verb: verb, object, "\(command) took longer than \(timeout.description)")
        }
        guard status == 0 else {
            throw Failure(
                .system, verb: verb, object, "\(command) \(ProcessEnd(waitStatus: status).description)",
                remedy: "run it by hand to see why")
        }
    }

    /// Stops a unit without waiting for its end: the only way to have systemd not start it again.
    ///
    /// It is not silent: systemd sends the unit's KillSignal by itself (to all processes of the unit, unless KillMode
    /// says otherwise), and after TimeoutStopSec KILL, even to a copy that is still finishing requests.
    func stop(_ unit: ByteString, timeout: Milliseconds = .seconds(10)) throws(Failure) {
        try run("stop", [unit], options: ["--no-block"], timeout: timeout)
    }

    /// What `systemctl show` says of properties of a unit, a line for each; nothing if that fails.
    func show(_ properties: ByteString, of unit: ByteString) -> [ByteString] {
        let words: [ByteString] = (isUser ? ["--user"] : []) + ["show", "--property", properties, "--", unit]
        return (output(of: "systemctl", words, timeout: .seconds(10)) ?? "").split(on: UInt8(ascii: "\n"))
    }

    /// The output of one of systemd's programs; nil if it failed or took too long.
    func output(of tool: ByteString, _ arguments: [ByteString], timeout: Milliseconds) -> ByteString? {
        let end = try? runTool(
            tool, arguments, environment: environment, searchPath: searchPath, timeout: timeout, reads: true)
        guard let end, end.status == 0 else { return nil }
        return end.output
    }

    /// The variables with which systemd's programs find the manager.
    private var environment: [ByteString] {
        ["PATH=\(searchPath)"] + (isUser ? ["XDG_RUNTIME_DIR=/run/user/\(geteuid())"] : [])
    }
}
