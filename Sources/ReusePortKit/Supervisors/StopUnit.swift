import CLinux

/// `systemctl stop --no-block UNIT`, the only way to have systemd not start a unit again.
///
/// It is not silent: systemd sends the unit's KillSignal by itself (to all processes of the unit, unless KillMode says
/// otherwise), and after TimeoutStopSec KILL, even to a copy that is still finishing requests.
func stopUnit(
    _ unit: ByteString, ofUser isUser: Bool, searchPath: ByteString, timeout: Milliseconds = .seconds(10)
) throws(Failure) {
    try systemctl(
        "stop", unit, ["--no-block", "stop", "--", unit], ofUser: isUser, searchPath: searchPath, timeout: timeout)
}

/// Runs systemctl for the system's manager, or for the caller's own. Fails if it does, or if it takes too long; `verb`
/// and `object` are for the message.
func systemctl(
    _ verb: ByteString, _ object: ByteString, _ arguments: [ByteString], ofUser isUser: Bool,
    searchPath: ByteString = safeSearchPath, timeout: Milliseconds = .seconds(10)
) throws(Failure) {
    let command: ByteString = isUser ? "systemctl --user \(verb)" : "systemctl \(verb)"
    let end = try runTool(
        "systemctl", (isUser ? ["--user"] : []) + arguments,
        environment: managerEnvironment(ofUser: isUser, searchPath), searchPath: searchPath, timeout: timeout)
    guard let status = end.status else { throw Failure(.system, verb: verb, object, "\(command) takes too long") }
    guard status == 0 else {
        throw Failure(.system, verb: verb, object, "\(command) has failed", remedy: "run it by hand to see why")
    }
}

/// The variables with which systemd's programs find the manager.
func managerEnvironment(ofUser isUser: Bool, _ searchPath: ByteString) -> [ByteString] {
    var environment: [ByteString] = ["PATH=\(searchPath)"]
    if isUser { environment.append("XDG_RUNTIME_DIR=/run/user/\(geteuid())") }
    return environment
}
